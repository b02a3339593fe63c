import { describe, expect, test } from 'vitest'
import type { Certificate } from '#src/contract/index.ts'
import type { InboundRow, Person, Server, TaskView } from '#src/fleet/types.ts'
import { parseHtml } from '#src/playground/html.ts'
import { loadLanguages } from '../i18n/texts.ts'
import { pageOf } from '../paging.ts'
import type { Screen } from '../types.ts'
import type { BatchTask } from './batch-lines.ts'
import { batchScreen } from './batch.ts'
import { certificateScreen, certificatesScreen } from './certificates.ts'
import { clientScreen, pageOfLinks } from './client.ts'
import { clientsScreen } from './clients.ts'
import { confirmScreen } from './confirm.ts'
import { homeScreen } from './home.ts'
import { wholeText } from './crumbs.ts'
import { inboundScreen, inboundsScreen } from './inbounds.ts'
import { limitsScreen } from './limits.ts'
import { editScreen, joinScreen } from './server-edit.ts'
import { serverScreen, usageScreen } from './server.ts'
import { WAITING_PER_PAGE, waitingScreen } from './waiting.ts'

const { t } = loadLanguages().forCode('en')
/** As long and as hostile as a name may be. */
const NASTY = '<b>&"x</b>'.repeat(7).slice(0, 64)
const LARGEST = Number.MAX_SAFE_INTEGER

function server(id: number, change: Partial<Server> = {}): Server {
  return {
    id,
    name: NASTY,
    kind: 'agent',
    endpoint: 'https://x:1',
    publicAddress: 'a'.repeat(253),
    region: NASTY,
    tags: [],
    notes: NASTY.repeat(15),
    alias: NASTY,
    status: 'offline',
    enabled: true,
    lastSeen: 1,
    lastError: NASTY.repeat(5),
    problem: null,
    version: NASTY.repeat(1e3),
    xrayVersion: NASTY.repeat(1e3),
    osInfo: null,
    createdAt: 1,
    ...change,
  }
}
const fleet = Array.from({ length: 1_000 }, (_, i) => server(2 ** 31 - 1_001 + i))
const [first = server(1)] = fleet
const totals = { inbounds: 1e6, clients: 1e6, up: LARGEST, down: LARGEST }
const inbound = {
  serverId: first.id,
  id: 2 ** 31,
  tag: 'a'.repeat(64),
  remark: NASTY,
  protocol: 'vless',
  settings: { fallbacks: [] },
  listen: '0.0.0.0',
  port: 65535,
  enabled: true,
  clientCount: 1e6,
  up: LARGEST,
  down: LARGEST,
  stream: {
    transport: { type: 'raw' },
    security: {
      type: 'reality',
      target: `${'a'.repeat(253)}:443`,
      serverNames: ['x'],
      shortIds: [''],
      fingerprint: 'chrome',
      publicKey: 'p'.repeat(43),
    },
  },
} as unknown as InboundRow
const client = {
  id: 2 ** 31,
  email: NASTY,
  enabled: true,
  up: LARGEST,
  down: LARGEST,
  lastActiveAt: 1,
  limitBytes: 1,
  expiresAt: 8e12,
  lastsDays: 3_650,
  resetDays: 366,
  nextResetAt: 8e12,
  ipLimit: 1_000,
  blocked: 'addresses',
}
const person = {
  email: NASTY,
  up: LARGEST,
  down: LARGEST,
  waiting: fleet,
  placements: fleet.map((each) => ({ server: each, client: { ...client, serverId: each.id } })),
} as unknown as Person
const entries = fleet.map((each) => ({
  server: each,
  clientId: client.id,
  enabled: false,
  tag: inbound.tag,
  link: `vless://${'x'.repeat(400)}`,
  index: 99,
  alone: true,
}))
/** Links that carry names in other scripts, each letter nine characters long: one may come near a whole message. */
const longEntries = entries.map((entry, i) => ({
  ...entry,
  link: `vless://${'x'.repeat(400)}#${encodeURIComponent('德'.repeat(i === 1 ? 400 : 168))}`,
}))
const cardOf = (page: number): Screen =>
  clientScreen(
    {
      person,
      at: { serverId: first.id, clientId: client.id },
      entries: pageOfLinks(longEntries, page),
      single: false,
      enable: nonce,
      canDisable: true,
    },
    t,
  )
const nonce = 'n'.repeat(16)
const task = (i: number, status: TaskView['status']): BatchTask => ({
  id: String(i),
  batch: 'x',
  serverId: i,
  serverName: NASTY,
  operation: 'clients.add',
  input: {},
  status,
  attempts: 1,
  error: { code: 'SERVER_UNREACHABLE', message: '', details: { reason: 'timed <out>' } },
  createdAt: 0,
  finishedAt: null,
  subject: NASTY,
})
const tasks = fleet.map((_, i) => task(i, i % 3 === 0 ? 'failed' : i % 3 === 1 ? 'pending' : 'applied'))
const model = {
  server: first,
  totals,
  next: 'addInbound' as const,
  open: 3,
  load: { state: 'unreachable' as const },
  syncedAt: 1,
  now: 1e12,
}
const back = { text: 'x', callback_data: 'h' }
const stats = {
  cpu: 99.9,
  cores: 64,
  memory: { used: LARGEST, total: LARGEST },
  swap: { used: 1, total: 2 },
  disk: { used: 0, total: 0 },
  network: { received: LARGEST, sent: LARGEST, receiving: 0, sending: 0 },
  connections: { tcp: 3, udp: 2, xray: null },
  publicAddress: { ipv4: null, ipv6: null },
  load: [1, 2, 3] as [number, number, number],
  uptime: 1e9,
}

const certificate: Certificate = {
  domain: `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(58)}`,
  kind: 'acme',
  challenge: 'http-01',
  directory: 'https://x',
  issuer: NASTY.repeat(5),
  notBefore: 0,
  notAfter: 8e12,
  daysLeft: -99_999,
  sha256: 'a'.repeat(64),
  autoRenew: true,
  nextTryAt: 8e12,
  lastError: NASTY.repeat(50),
  createdAt: 0,
  updatedAt: 0,
}

const screens: Record<string, Screen> = {
  certificates: certificatesScreen(
    { server: first, reading: { state: 'known', value: fleet.map(() => certificate) }, page: 999 },
    t,
  ),
  certificate: certificateScreen(
    {
      server: first,
      cert: 'k'.repeat(12),
      reading: { state: 'known', value: certificate },
      users: fleet.map(() => inbound.tag),
      renew: nonce,
    },
    t,
  ),
  home: homeScreen({ servers: fleet, totals, next: 'addInbound', now: 1e12 }, t),
  server: serverScreen(model, t),
  usage: usageScreen({ ...model, load: { state: 'known', stats } }, t),
  edit: editScreen({ server: first }, t),
  join: joinScreen({ server: first, command: `npx x ${'y'.repeat(600)}`, minutes: 15, expiresAt: 8e12 }, t),
  inbounds: inboundsScreen({ server: first, inbounds: fleet.map(() => inbound), page: 500 }, t),
  inbound: inboundScreen({ server: first, inbound, enable: nonce }, t),
  clients: clientsScreen(
    {
      server: first,
      rows: {
        total: 1e6,
        page: 125_000 - 1,
        pages: 125_000,
        items: fleet.slice(0, 8).map((each) => ({
          serverId: each.id,
          clientId: client.id,
          email: NASTY,
          enabled: 'partly' as const,
          blocked: true,
          traffic: LARGEST,
          servers: 1_000,
        })),
      },
      filter: 'disabled',
      search: NASTY,
      next: 'addClient',
    },
    t,
  ),
  client: clientScreen(
    {
      person,
      at: { serverId: first.id, clientId: client.id },
      entries: pageOfLinks(entries, 3),
      single: false,
      enable: nonce,
      canDisable: true,
    },
    t,
  ),
  'client with long links': cardOf(0),
  'client with a link that fits no message': cardOf(1),
  limits: limitsScreen({ person, at: { server: first.id, client: client.id } }, t),
  confirm: confirmScreen({ crumbs: [NASTY], question: NASTY, effect: NASTY, yes: 'Yes', nonce, back }),
  waiting: waitingScreen(
    {
      server: first,
      total: 1_000,
      items: pageOf(
        fleet.map((_, i) => ({
          task: {
            ...task(i, 'pending'),
            id: '0'.repeat(36),
            error: { code: 'SERVER_REFUSED', message: '', details: { reason: NASTY.repeat(100) } },
            begun: i % 2 === 0,
          },
          doing: NASTY.repeat(3),
        })),
        3,
        WAITING_PER_PAGE,
      ),
    },
    t,
  ),
  batch: batchScreen(
    {
      id: '0'.repeat(36),
      tasks,
      disabled: new Set(fleet.map(({ id }) => id)),
      settled: true,
      single: false,
      path: [NASTY, NASTY],
      name: NASTY,
      doing: NASTY,
      done: NASTY,
      links: entries,
      next: [],
    },
    t,
  ),
}

describe.each(Object.entries(screens))('%s, at its largest', (_name, screen) => {
  test('fits a message and is valid markup that shows names as they are', () => {
    const { text } = parseHtml(wholeText(screen, undefined, t).value)
    expect(text.length).toBeLessThanOrEqual(4096)
    expect(text).toMatch(/^Fleet/)
  })

  test('has buttons a phone can show and Telegram takes', () => {
    if (!Array.isArray(screen.keyboard)) return
    expect(screen.keyboard.length).toBeLessThanOrEqual(14)
    for (const each of screen.keyboard.flat()) {
      expect(each.text.length).toBeLessThanOrEqual(64)
      if ('callback_data' in each) expect(Buffer.byteLength(each.callback_data)).toBeLessThanOrEqual(64)
    }
  })
})

describe('an inbound, in words', () => {
  const words = (change: object): string =>
    parseHtml(
      inboundScreen(
        { server: first, inbound: { ...inbound, remark: '', ...change } as InboundRow, enable: nonce },
        t,
      ).text.value,
    ).text
  const raw = { type: 'raw' }
  const none = { type: 'none' }
  const tls = { type: 'tls', alpn: [], certificate: { source: 'own' } }

  test('says protocol, transport and security', () => {
    expect(words({})).toContain('VLESS · TCP · REALITY on port 65535')
    const http = { ...raw, header: { type: 'http', path: '/', host: '' } }
    expect(words({ protocol: 'vmess', settings: {}, stream: { transport: http, security: none } })).toContain(
      'VMess · TCP as HTTP on port 65535',
    )
    const shadowsocks = { protocol: 'shadowsocks', stream: { transport: raw, security: none } }
    expect(words({ ...shadowsocks, settings: { method: '2022-blake3-aes-128-gcm' } })).toContain(
      'Shadowsocks 2022 · TCP on',
    )
    expect(words({ ...shadowsocks, settings: { method: 'aes-128-gcm' } })).toContain('Shadowsocks · TCP on')
  })

  test('says how to connect, and what is particular about it', () => {
    const hysteria = words({
      protocol: 'hysteria2',
      settings: {},
      stream: { transport: { type: 'hysteria', obfuscated: true }, security: tls },
    })
    expect(hysteria).toContain('Hysteria 2 · QUIC · TLS on port 65535')
    expect(hysteria).toMatch(
      /open a client here[^]*port 65535 must be open[^]*fingerprints[^]*stays connected/,
    )
    const bare = { stream: { transport: raw, security: none } }
    const wireguard = words({ ...bare, protocol: 'wireguard', settings: { mtu: 1_420 } })
    expect(wireguard).toMatch(/WireGuard on port[^]*uses UDP[^]*for all of its clients together/)
    const tunnel = words({ ...bare, protocol: 'tunnel', settings: { target: '[2001:db8::1]:22' } })
    expect(tunnel).toContain('Whatever connects to port 65535 reaches [2001:db8::1]:22.')
    expect(tunnel).not.toContain('Clients:')
    const h3 = { transport: { type: 'xhttp' }, security: { ...tls, alpn: ['h3'] } }
    expect(words({ stream: h3 })).toContain('It uses UDP')
    expect(words({})).not.toContain('UDP')
  })

  test('has no button for clients where none can stand', () => {
    const buttons = (change: object): string[] =>
      (
        inboundScreen({ server: first, inbound: { ...inbound, ...change } as InboundRow, enable: nonce }, t)
          .keyboard as { text: string }[][]
      ).flatMap((row) => row.map(({ text }) => text))
    const stream = { transport: raw, security: none }
    expect(buttons({})).toContain('Add client')
    expect(buttons({ protocol: 'tunnel', settings: { target: 'a:1' }, stream })).not.toContain('Add client')
  })
})

describe('the first line', () => {
  const firstLine = (name: string, home?: string): string =>
    parseHtml(wholeText(screens[name] ?? cardOf(0), home, t).value).text.split('\n')[0] ?? ''

  test('is a breadcrumb with the page', () => {
    expect(firstLine('inbounds')).toMatch(/^Fleet › .* › Inbounds \(125\/125\)$/)
    expect(firstLine('home')).toBe('Fleet')
  })

  test('says nothing of a fleet where there is one server', () => {
    expect(firstLine('limits', 'vps')).toBe(`Clients › ${NASTY} › Limits`)
    expect(firstLine('inbounds', 'vps')).toBe(`${NASTY} › Inbounds (125/125)`)
    expect(firstLine('home', 'vps')).toBe('vps')
  })
})

describe('the links of a card', () => {
  test('all come, each once, as many on a page as fit', () => {
    const pages = Array.from({ length: pageOfLinks(longEntries, 0).pages }, (_, i) =>
      pageOfLinks(longEntries, i),
    )
    expect(pages.flatMap(({ items }) => items)).toEqual(longEntries)
    expect(pageOfLinks(entries, 0).items).toHaveLength(4)
    expect(pageOfLinks(longEntries, 1e9).page).toBe(pages.length - 1)
    expect(pageOfLinks([], 0)).toEqual({ items: [], page: 0, pages: 1 })
  })

  test('one that fits no message is on its picture', () => {
    const { text } = parseHtml(cardOf(1).text.value)
    expect(text).toContain('too long for a message')
    expect(text).not.toContain('vless://')
  })

  test('servers it waits for are named as far as there is room', () => {
    expect(parseHtml(cardOf(0).text.value).text).toMatch(/⏳[^]*and 997 more/)
  })
})

test('what is wrong with a server is said in the words of its code, or as it was written down before there were any', () => {
  const away = (change: Partial<Server>): string =>
    serverScreen({ ...model, server: server(1, { status: 'offline', ...change }) }, t).text.value
  const problem = { code: 'SERVER_TIMEOUT' as const, details: { seconds: 10 } }
  expect(away({ lastError: 'in English', problem })).toContain(t('errors.SERVER_TIMEOUT', { seconds: 10 }))
  expect(away({ lastError: 'in English', problem })).not.toContain('in English')
  expect(away({ lastError: 'in English', problem: null })).toContain('in English')
})
