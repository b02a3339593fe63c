/**
 * Ready-made inbounds: each a pure function of a few answers. What an admin chooses between is the purpose; protocol,
 * transport and security follow from it. docs/guide/protocols.md says what each is for.
 */
import type { OperationInput } from '#src/contract/index.ts'

export interface TemplateAnswers {
  tag: string
  port: number
  /** host:port. The site REALITY looks like, or where a tunnel leads. */
  target: string
  /** A domain this server holds a certificate for; null: the inbound makes its own. */
  domain: string | null
  /** 16 random hexadecimal digits: short ids, and paths nobody guesses, are made of them. */
  random: string
}

/** What must be asked beside a port and a name. */
type Asks = 'site' | 'certificate' | 'forward' | 'nothing'

export type Made = OperationInput<'inbounds.add'>
export type Stream = Extract<Made, { protocol: 'vless' }>['stream']
export type Security = Stream['security']

export interface Template {
  asks: Asks
  /** What its name is offered to begin with. */
  prefix: string
  make: (answers: TemplateAnswers) => Made
}

/**
 * Only a name to ask for: pinned by the links, its certificate vouches for nothing. One that many ask for stands out
 * least.
 */
const OWN_NAME = 'www.bing.com'

export const none: Security = { type: 'none' }

export function reality({ target, random }: TemplateAnswers): Security {
  const serverNames = [target.slice(0, target.lastIndexOf(':')).replace(/^\[|\]$/g, '')]
  return { type: 'reality', target, serverNames, shortIds: [random] }
}

export function tls({ domain }: TemplateAnswers): Security {
  return domain === null
    ? { type: 'tls', serverName: OWN_NAME }
    : { type: 'tls', serverName: domain, certificate: { source: 'store', domain } }
}

export const path = ({ random }: TemplateAnswers): string => `/${random.slice(0, 8)}`
export const listener = ({ tag, port }: TemplateAnswers) => ({ tag, port })

const vless = (stream: (answers: TemplateAnswers) => Stream): Template['make'] =>
  function make(answers) {
    return { ...listener(answers), protocol: 'vless', stream: stream(answers) }
  }

export const templates = {
  'vless-reality': {
    asks: 'site',
    prefix: 'reality',
    make: vless((a) => ({ transport: { type: 'raw' }, security: reality(a) })),
  },
  'vless-xhttp-reality': {
    asks: 'site',
    prefix: 'xhttp',
    make: vless((a) => ({ transport: { type: 'xhttp', path: path(a) }, security: reality(a) })),
  },
  hysteria2: {
    asks: 'certificate',
    prefix: 'hysteria2',
    make: (a) => ({
      ...listener(a),
      protocol: 'hysteria2',
      stream: { transport: { type: 'hysteria' }, security: tls(a) },
    }),
  },
  'trojan-tls': {
    asks: 'certificate',
    prefix: 'trojan',
    make: (a) => ({
      ...listener(a),
      protocol: 'trojan',
      stream: { transport: { type: 'raw' }, security: tls(a) },
    }),
  },
  'shadowsocks-2022': {
    asks: 'nothing',
    prefix: 'ss',
    make: (a) => ({ ...listener(a), protocol: 'shadowsocks' }),
  },
  'vless-vision-tls': {
    asks: 'certificate',
    prefix: 'vision',
    make: vless((a) => ({ transport: { type: 'raw' }, security: tls(a) })),
  },
  'vless-ws-tls': {
    asks: 'certificate',
    prefix: 'ws',
    make: vless((a) => ({ transport: { type: 'ws', path: path(a) }, security: tls(a) })),
  },
  'vless-grpc-reality': {
    asks: 'site',
    prefix: 'grpc',
    make: vless((a) => ({
      transport: { type: 'grpc', serviceName: a.random.slice(0, 8) },
      security: reality(a),
    })),
  },
  'vmess-ws': {
    asks: 'nothing',
    prefix: 'vmess',
    make: (a) => ({
      ...listener(a),
      protocol: 'vmess',
      stream: { transport: { type: 'ws', path: path(a) }, security: none },
    }),
  },
  'vless-mkcp': {
    asks: 'nothing',
    prefix: 'mkcp',
    make: vless(() => ({ transport: { type: 'mkcp' }, security: none })),
  },
  wireguard: {
    asks: 'nothing',
    prefix: 'wg',
    make: (a) => ({ ...listener(a), protocol: 'wireguard' }),
  },
  mixed: {
    asks: 'nothing',
    prefix: 'proxy',
    make: (a) => ({ ...listener(a), protocol: 'mixed' }),
  },
  tunnel: {
    asks: 'forward',
    prefix: 'tunnel',
    make: (a) => ({ ...listener(a), protocol: 'tunnel', settings: { target: a.target } }),
  },
  'vless-plain': {
    asks: 'nothing',
    prefix: 'vless',
    make: vless(() => ({ transport: { type: 'raw' }, security: none })),
  },
} as const satisfies Record<string, Template>

export type TemplateId = keyof typeof templates
export const templateIds = Object.keys(templates) as TemplateId[]

/** Those that fit nearly everybody, the first of them most. */
export const commonTemplates: readonly TemplateId[] = templateIds.slice(0, 5)
export const otherTemplates: readonly TemplateId[] = templateIds.slice(5)
