import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { certificateFiles } from '#src/xray/config/certificate-files.ts'
import { type CertificateDesk, newKey, openCertificateDesk } from '#test/support/certificate-desk.ts'
import { blockedDomain, type Pebble, startPebble } from '#test/support/pebble.ts'
import { type StandingClock, standingClock } from '#test/support/standing-order.ts'
import { jsonIn, openAcmeHttp } from './acme/http.ts'
import { openSession } from './acme/session.ts'
import { makeKey } from './making.ts'

const http = 'http-01' as const
const alpn = 'tls-alpn-01' as const

let pebble: Pebble
let desk: CertificateDesk
let clock: StandingClock

beforeAll(async () => {
  pebble = await startPebble()
})
afterAll(() => pebble.remove())
beforeEach(async () => {
  clock = standingClock()
  desk = await openCertificateDesk({ acme: pebble.settings, runtime: clock })
})
afterEach(() => desk.close())

const generate = (
  input: { domain: string; method: typeof http | typeof alpn; email?: string },
  call = newKey(),
) => desk.operations['certificates.generate'](input, call)
const list = () => desk.operations['certificates.list'](undefined, {})
const certificatesIn = (text: string): X509Certificate[] =>
  (text.match(/-----BEGIN CERT[^]+?-----END CERT\w+-----/g) ?? []).map((pem) => new X509Certificate(pem))
const code = (expected: string, reason: RegExp) => ({
  code: expected,
  details: { reason: expect.stringMatching(reason) as string },
})

describe('a certificate from an authority', () => {
  it.each([http, alpn])('is given where %s proves the domain', async (method) => {
    const domain = `${method}.example.org`
    const given = await generate({ domain, method, email: 'a@b.org' })
    expect(given).toMatchObject({
      domain,
      kind: 'acme',
      challenge: method,
      directory: pebble.settings.directory,
      issuer: expect.stringMatching(/^Pebble Intermediate/) as string,
      autoRenew: true,
      lastError: null,
      daysLeft: 89,
    })
    expect(Object.keys(given)).not.toContain('key')
    expect(await list()).toEqual([given])
    // The file holds a chain that leads to the authority's root, and the key.
    const text = (await desk.fileOf(domain)) ?? ''
    const [leaf, intermediate] = certificatesIn(text)
    expect(leaf?.checkHost(domain)).toBe(domain)
    expect(leaf?.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(given.sha256)
    expect(intermediate === undefined || leaf?.verify(intermediate.publicKey)).toBe(true)
    expect(intermediate?.verify(new X509Certificate(await pebble.root()).publicKey)).toBe(true)
    expect(text).toContain('-----BEGIN PRIVATE KEY-----')
    const { mode } = await stat(certificateFiles(desk.dir, domain).keyFile)
    expect(mode & 0o777).toBe(0o600)
    // Its port is closed again.
    await expect(free(method === http ? pebble.settings.httpPort : pebble.settings.tlsPort)).resolves.toBe(
      true,
    )
  })

  it('leaves nothing secret in the clear', async () => {
    await generate({ domain: 'quiet.example.org', method: http })
    const tables = ['certificates', 'applied_tasks', 'settings'].map((name) =>
      JSON.stringify(desk.db.prepare(`select * from ${name}`).all()),
    )
    expect(tables.join()).toContain('acme.account')
    expect(tables.join()).not.toContain('PRIVATE KEY')
  })

  it('is ordered with one account, over a restart too', async () => {
    const account = () => desk.db.prepare("select value from settings where key = 'acme.account'").get()
    await generate({ domain: 'one.example.org', method: http })
    const before = account()
    await desk.restart()
    await generate({ domain: 'two.example.org', method: http })
    expect(account()).toEqual(before)
  })

  it('is ordered with an account that has the address given last', async () => {
    const about = { domain: 'a.example.org', directory: pebble.settings.directory }
    const client = await openAcmeHttp(pebble.settings, new AbortController().signal)
    const key = await makeKey()
    const signIn = (email: string | null) =>
      openSession({ http: client, about, key, email, runtime: systemRuntime() })
    const contacts: unknown[] = []
    for (const email of ['old@example.org', 'new@example.org', null]) {
      const session = await signIn(email)
      contacts.push(jsonIn(await session.post(session.account)))
    }
    expect(contacts).toMatchObject([
      { contact: ['mailto:old@example.org'] },
      { contact: ['mailto:new@example.org'] },
      { contact: ['mailto:new@example.org'] },
    ])
    client.close()
  })
})

describe('what an authority refuses', () => {
  it.each([
    ['a name it does not serve', blockedDomain, /blocklist|policy|forbid/i],
    ['a name that leads nowhere', 'nowhere.invalid', /resolv/i],
  ])('%s is said with its reason, once and for all under its key', async (_what, domain, reason) => {
    const call = newKey()
    await expect(generate({ domain, method: http }, call)).rejects.toMatchObject(code('ACME_REFUSED', reason))
    const orders = pebble.orders()
    await expect(generate({ domain, method: http }, call)).rejects.toMatchObject(code('ACME_REFUSED', reason))
    expect(pebble.orders()).toBe(orders)
    expect(await list()).toEqual([])
    expect(await desk.fileOf(domain)).toBeNull()
  })
})

describe('an authority that is away', () => {
  afterEach(() => pebble.start())

  it('is said to be, and the same key gets a certificate when it is back', async () => {
    await pebble.stop()
    const call = newKey()
    const input = { domain: 'patient.example.org', method: http }
    const error = await generate(input, call).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ ...code('ACME_UNREACHABLE', /connection refused/), retryable: true })
    await pebble.start()
    expect(await generate(input, call)).toMatchObject({ domain: input.domain })
    await pebble.stop()
  })

  it('may be one we do not trust', async () => {
    await desk.restart({ acme: { ...pebble.settings, caFile: undefined } })
    await expect(generate({ domain: 'a.example.org', method: http })).rejects.toMatchObject(
      code('ACME_UNREACHABLE', /certificate/),
    )
    await desk.restart({ acme: { ...pebble.settings, caFile: '/nowhere/ca.pem' } })
    await expect(generate({ domain: 'a.example.org', method: http })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      details: { key: 'acme.caFile' },
    })
    await pebble.stop()
  })
})

describe('the port of a challenge', () => {
  it.each([http, alpn])('that is taken is said before the authority hears of it: %s', async (method) => {
    const port = method === http ? pebble.settings.httpPort : pebble.settings.tlsPort
    const other = createServer().listen(port, pebble.address)
    await once(other, 'listening')
    const orders = pebble.orders()
    try {
      await expect(generate({ domain: 'busy.example.org', method })).rejects.toMatchObject({
        code: 'CHALLENGE_PORT_TAKEN',
        retryable: false,
        details: { domain: 'busy.example.org', port, reason: 'another program uses it' },
      })
    } finally {
      other.close()
    }
    expect(pebble.orders()).toBe(orders)
    expect(await generate({ domain: 'busy.example.org', method })).toMatchObject({ kind: 'acme' })
  })
})

describe('asked for more than once at a time', () => {
  it('is ordered once, whether under the same key or another', async () => {
    const orders = pebble.orders()
    const input = { domain: 'popular.example.org', method: http }
    const call = newKey()
    const order = clock.hold(pebble, desk.db)
    const asked = [generate(input, call), generate(input, call), generate(input)]
    await order.reached(input.domain)
    // Under that key something else is refused at once, and what is under way goes on.
    await expect(generate({ ...input, method: alpn }, call)).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
    })
    order.release()
    const [first, ...others] = await Promise.all(asked)
    expect(others.map(({ sha256 }) => sha256)).toEqual([first?.sha256, first?.sha256])
    expect(pebble.orders()).toBe(orders + 1)
    // Later its outcome is known, and asking costs nothing.
    expect(await generate(input, call)).toEqual(first)
    expect(pebble.orders()).toBe(orders + 1)
  })

  it('holds up no other change, and one order waits for the other', async () => {
    const order = clock.hold(pebble, desk.db)
    const slow = generate({ domain: 'slow.example.org', method: http })
    const next = generate({ domain: 'next.example.org', method: http })
    await order.reached('slow.example.org')
    const quick = await desk.operations['certificates.generate'](
      { domain: 'quick.example.org', method: 'self-signed', days: 10 },
      newKey(),
    )
    expect(quick.kind).toBe('self-signed')
    expect(pebble.dns.asked).not.toContain('next.example.org')
    order.release()
    expect((await Promise.all([slow, next])).map(({ domain }) => domain)).toEqual([
      'slow.example.org',
      'next.example.org',
    ])
  })

  it('ends when the node does, and its port is free', async () => {
    const order = clock.hold(pebble, desk.db)
    const call = newKey()
    const asked = generate({ domain: 'ending.example.org', method: http }, call)
    const refused = expect(asked).rejects.toMatchObject(code('ACME_UNREACHABLE', /is ending/))
    await order.reached('ending.example.org')
    await desk.certificates.stop()
    await refused
    await expect(free(pebble.settings.httpPort)).resolves.toBe(true)
    order.release()
    await desk.restart()
    expect(await generate({ domain: 'ending.example.org', method: http }, call)).toMatchObject({
      kind: 'acme',
    })
  })
})

async function free(port: number): Promise<boolean> {
  const server = createServer().listen(port, pebble.address)
  return once(server, 'listening').then(
    () => {
      server.close()
      return true
    },
    () => false,
  )
}
