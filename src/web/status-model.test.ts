import { describe, expect, it } from 'vitest'
import { type PublicServer, ago, statusModel } from './status-model.ts'

const NOW = 1_800_000_000_000
const server = (id: number, rest: Partial<PublicServer> = {}): PublicServer => ({
  id,
  alias: '',
  status: 'online',
  enabled: true,
  ...rest,
})
const overall = (...servers: PublicServer[]): string => statusModel(servers, { ok: true }, NOW).overall

describe('the status page’s model', () => {
  it('calls a server by its alias, else by its number', () => {
    const { servers } = statusModel(
      [server(1, { alias: ' Amsterdam ' }), server(7, { alias: '  ' })],
      { ok: true },
      NOW,
    )
    expect(servers.map(({ label }) => label)).toEqual(['Amsterdam', 'Server 7'])
  })

  it('lets nothing else of a server through, whatever its row holds', () => {
    const row = {
      ...server(1),
      name: 'nl-secret',
      endpoint: 'https://203.0.113.9:8443',
      lastError: 'refused',
    }
    expect(JSON.stringify(statusModel([row], { ok: true }, NOW))).not.toMatch(/secret|203\.0|refused/)
  })

  it('sums the servers up', () => {
    expect(overall(server(1), server(2))).toBe('good')
    expect(overall(server(1), server(2, { status: 'offline' }))).toBe('partly')
    expect(overall(server(1, { status: 'error' }), server(2, { status: 'offline' }))).toBe('down')
    expect(overall(server(1), server(2, { status: 'partly' }))).toBe('partly')
    expect(overall(server(1, { status: 'partly' }))).toBe('partly')
    expect(overall(server(1, { status: 'partly' }), server(2, { status: 'error' }))).toBe('partly')
    expect(overall()).toBe('waiting')
    expect(overall(server(1, { status: 'pending' }))).toBe('waiting')
  })

  it('does not count what is switched off or not yet set up', () => {
    const off = server(2, { status: 'offline', enabled: false })
    expect(overall(server(1), off, server(3, { status: 'pending' }))).toBe('good')
    expect(statusModel([off], { ok: true }, NOW).servers).toEqual([{ label: 'Server 2', state: 'paused' }])
  })

  it('says that it does not know once nobody judges any more', () => {
    const judgedAt = NOW - 300_000
    const model = statusModel([server(1), server(2, { enabled: false })], { ok: false, judgedAt }, NOW)
    expect(model.overall).toBe('unknown')
    expect(model.servers.map(({ state }) => state)).toEqual(['unknown', 'paused'])
    expect(model.judgedAt).toBe(judgedAt)
  })

  it('tells a time in the largest unit that still says something', () => {
    expect([-5, 0, 12_400, 89_000].map(ago)).toEqual(['0 s', '0 s', '12 s', '89 s'])
    expect([90_000, 3_600_000, 7_200_000, 200_000_000].map(ago)).toEqual(['2 min', '60 min', '2 h', '2 days'])
  })
})
