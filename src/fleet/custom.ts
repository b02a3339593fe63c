/** Inbounds put together by hand: a protocol, what carries it, and what secures it. Offered is only what fits together. */
import { inboundInput } from '#src/contract/index.ts'
import { streamMismatch } from '#src/xray/config/streams.ts'
import {
  type Made,
  type Security,
  type Stream,
  type Template,
  type TemplateAnswers,
  listener,
  none,
  path,
  reality,
  tls,
} from './templates.ts'

type Listener = ReturnType<typeof listener>

const kinds = {
  vless: (at: Listener, stream: Stream): Made => ({ ...at, protocol: 'vless', stream }),
  vmess: (at: Listener, stream: Stream): Made => ({ ...at, protocol: 'vmess', stream }),
  trojan: (at: Listener, stream: Stream): Made => ({ ...at, protocol: 'trojan', stream }),
  'shadowsocks-2022': (at: Listener, stream: Stream): Made => ({ ...at, protocol: 'shadowsocks', stream }),
  // The one of the older methods that needs no hardware to be fast, so phones do well with it.
  shadowsocks: (at: Listener, stream: Stream): Made => ({
    ...at,
    protocol: 'shadowsocks',
    settings: { method: 'chacha20-ietf-poly1305' },
    stream,
  }),
  hysteria2: (at: Listener, stream: Stream): Made => ({ ...at, protocol: 'hysteria2', stream }),
} as const

const transports = {
  raw: () => ({ type: 'raw' }),
  rawHttp: (a) => ({ type: 'raw', header: { type: 'http', path: path(a), host: '' } }),
  ws: (a) => ({ type: 'ws', path: path(a) }),
  httpupgrade: (a) => ({ type: 'httpupgrade', path: path(a) }),
  grpc: (a) => ({ type: 'grpc', serviceName: a.random.slice(0, 8) }),
  xhttp: (a) => ({ type: 'xhttp', path: path(a) }),
  mkcp: () => ({ type: 'mkcp' }),
  hysteria: () => ({ type: 'hysteria' }),
  hysteriaObfuscated: () => ({ type: 'hysteria', obfuscated: true }),
} as const satisfies Record<string, (answers: TemplateAnswers) => Stream['transport']>

const securities = {
  reality,
  tls,
  none: () => none,
} as const satisfies Record<string, (answers: TemplateAnswers) => Security>

export type CustomKind = keyof typeof kinds
export type CustomTransport = keyof typeof transports
export type CustomSecurity = keyof typeof securities

export interface CustomChoice {
  kind: CustomKind
  transport: CustomTransport
  security: CustomSecurity
}

export const customKinds = Object.keys(kinds) as CustomKind[]

const asks = { reality: 'site', tls: 'certificate', none: 'nothing' } as const

/** A choice as a template, which is asked for and made in the same way. */
export function customTemplate({ kind, transport, security }: CustomChoice): Template {
  return {
    asks: asks[security],
    prefix: transport === 'raw' ? kind : `${kind}-${transport}`,
    make: (a) =>
      kinds[kind](listener(a), { transport: transports[transport](a), security: securities[security](a) }),
  }
}

const sample: TemplateAnswers = {
  tag: 'sample',
  port: 1,
  target: 'site.example:443',
  domain: null,
  random: '0'.repeat(16),
}

/** Everything that fits together. */
export const customChoices: readonly CustomChoice[] = customKinds.flatMap((kind) =>
  (Object.keys(transports) as CustomTransport[]).flatMap((transport) =>
    (Object.keys(securities) as CustomSecurity[])
      .map((security) => ({ kind, transport, security }))
      .filter((choice) => streamMismatch(inboundInput.parse(customTemplate(choice).make(sample))) === null),
  ),
)

/** What can carry a protocol, the usual first. */
export function transportsFor(kind: CustomKind): CustomTransport[] {
  return [...new Set(customChoices.filter((each) => each.kind === kind).map(({ transport }) => transport))]
}

/** What can secure it, carried like this, the best first. */
export function securitiesFor(kind: CustomKind, transport: CustomTransport): CustomSecurity[] {
  return customChoices
    .filter((each) => each.kind === kind && each.transport === transport)
    .map(({ security }) => security)
}
