import { X509Certificate } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { FleetError } from '#src/errors.ts'
import { systemRuntime } from '#src/runtime.ts'
import { type CertificateDesk, newKey, openCertificateDesk } from '#test/support/certificate-desk.ts'
import { makeTestChain, type TestChain } from '#test/support/test-chain.ts'

const DAY = 24 * 60 * 60 * 1000
const domain = 'vpn.example.org'

let desk: CertificateDesk
/** ms the clock is ahead. */
let ahead: number
let chain: TestChain
beforeAll(async () => {
  chain = await makeTestChain({ names: [{ type: 'dns', value: domain }] })
})
beforeEach(async () => {
  ahead = 0
  const runtime = { ...systemRuntime(), now: () => Date.now() + ahead }
  desk = await openCertificateDesk({ runtime })
})
afterEach(() => desk.close())

const list = () => desk.operations['certificates.list'](undefined, {})
const selfSigned = (name = domain, days = 3_650, call = newKey()) =>
  desk.operations['certificates.generate']({ domain: name, method: 'self-signed', days }, call)
const imported = (call = newKey(), { leaf, issuers, key } = chain) =>
  desk.operations['certificates.import']({ domain, certificate: [leaf, ...issuers].join(''), key }, call)
const files = () => readdir(join(desk.dir, 'certs'))

describe('a self-signed certificate', () => {
  it.each([domain, '198.51.100.7', '2001:db8::7', `${'long-label.'.repeat(20)}example.org`])(
    'is made for %s, lasts ten years and is not renewed by itself',
    async (name) => {
      const made = await selfSigned(name)
      expect(made).toMatchObject({
        domain: name,
        kind: 'self-signed',
        challenge: null,
        directory: null,
        autoRenew: false,
        nextTryAt: null,
        daysLeft: 3_649,
      })
      const certificate = new X509Certificate((await desk.fileOf(name)) ?? '')
      expect(name.includes('org') ? certificate.checkHost(name) : certificate.checkIP(name)).toBe(name)
      expect(certificate.verify(certificate.publicKey)).toBe(true)
      expect(certificate.ca).toBe(false)
    },
  )

  it('is the same when it is asked for again under the key, and a new one under another', async () => {
    const call = newKey()
    const first = await selfSigned(domain, 10, call)
    expect(await selfSigned(domain, 10, call)).toEqual(first)
    await expect(selfSigned(domain, 11, call)).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
    expect((await selfSigned(domain, 10)).sha256).not.toBe(first.sha256)
    expect(await list()).toHaveLength(1)
  })

  it('renewed by hand lasts as long as before, with the same key', async () => {
    const first = await selfSigned(domain, 30)
    ahead = 29 * DAY
    const second = await desk.operations['certificates.renew']({ domain }, newKey())
    expect(second.sha256).not.toBe(first.sha256)
    expect(second.daysLeft).toBe(29)
    expect(second.createdAt).toBe(first.createdAt)
  })
})

describe('an imported certificate', () => {
  it('is held with all that vouch for it', async () => {
    expect(await imported()).toMatchObject({
      domain,
      kind: 'imported',
      issuer: 'Test Middle',
      autoRenew: false,
    })
    expect((await desk.fileOf(domain))?.match(/BEGIN CERTIFICATE/g)).toHaveLength(3)
  })

  it('is refused with what is wrong, once and for all under its key', async () => {
    const call = newKey()
    const wrong = { domain: 'other.example.org', certificate: chain.leaf, key: chain.key }
    for (let times = 0; times < 2; times++) {
      await expect(desk.operations['certificates.import'](wrong, call)).rejects.toMatchObject({
        code: 'BAD_INPUT',
        details: { field: 'certificate' },
      })
    }
    expect(await list()).toEqual([])
  })

  it('is not renewed, neither by hand nor by itself, but its end is told', async () => {
    await imported()
    await expect(desk.operations['certificates.renew']({ domain }, newKey())).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_RENEWABLE',
      details: { domain },
    })
    ahead = 70 * DAY
    await desk.certificates.look()
    expect(desk.soonDue).toEqual([])
    ahead = 80 * DAY
    await desk.certificates.look()
    expect(desk.soonDue).toEqual([{ domain, daysLeft: 9 }])
    ahead = 95 * DAY
    await desk.certificates.look()
    expect(desk.soonDue.at(-1)).toEqual({ domain, daysLeft: -6 })
    expect(await list()).toMatchObject([{ kind: 'imported', daysLeft: -6, lastError: null }])
  })
})

describe('deleting', () => {
  it('forgets it, and its file', async () => {
    await selfSigned()
    const call = newKey()
    expect(await desk.operations['certificates.delete']({ domain }, call)).toEqual({ domain })
    expect(await desk.operations['certificates.delete']({ domain }, call)).toEqual({ domain })
    expect(await list()).toEqual([])
    expect(await files()).toEqual([])
    await expect(desk.operations['certificates.delete']({ domain }, newKey())).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_FOUND',
      details: { domain },
    })
  })

  it('is refused while an inbound uses it', async () => {
    await selfSigned()
    const inbounds = [
      { id: 3, tag: 'tls-443' },
      { id: 4, tag: 'ws' },
    ]
    await desk.restart({ usedBy: (name) => (name === domain ? inbounds : []) })
    await expect(desk.operations['certificates.delete']({ domain }, newKey())).rejects.toMatchObject({
      code: 'CERTIFICATE_IN_USE',
      details: { domain, by: 'the inbound tls-443, ws' },
    })
    expect(await list()).toHaveLength(1)
  })
})

describe('the inbounds that use a certificate', () => {
  const usedBy = () => [{ id: 7, tag: 'tls' }]

  it('are opened anew when its key changes, and left to Xray when it does not', async () => {
    await desk.restart({ usedBy })
    await imported()
    expect(desk.reopened).toEqual([[7]])
    // Another with the same key: Xray comes across it by itself.
    const names = [{ type: 'dns', value: domain }] as const
    await imported(newKey(), await makeTestChain({ names, key: chain.key }))
    expect(desk.reopened).toHaveLength(1)
    await selfSigned()
    expect(desk.reopened).toEqual([[7], [7]])
  })

  it('are opened anew when it is one that links pin, which are new then, though its key is the same', async () => {
    await desk.restart({ usedBy })
    await selfSigned()
    await desk.operations['certificates.renew']({ domain }, newKey())
    expect(desk.reopened).toEqual([[7], [7]])
  })

  it('are opened anew also when there is no time left for that', async () => {
    await desk.restart({ usedBy })
    await imported()
    ahead = 90 * DAY - 60 * 60 * 1000
    const names = [{ type: 'dns', value: domain }] as const
    const next = await makeTestChain({ names, key: chain.key, notAfter: Date.now() + 180 * DAY })
    await imported(newKey(), next)
    expect(desk.reopened).toEqual([[7], [7]])
  })

  it('that cannot be opened take the change back, rows and file', async () => {
    const first = await selfSigned()
    const file = await desk.fileOf(domain)
    let refusals = 1
    await desk.restart({
      usedBy,
      async reopen() {
        if (refusals-- > 0) throw new FleetError('XRAY_REFUSED', { reason: 'it does not like it' })
      },
    })
    await expect(imported()).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    expect(await list()).toEqual([first])
    expect(await desk.fileOf(domain)).toBe(file)
  })
})

describe('the files', () => {
  it('are as the database says after a start, whatever became of them', async () => {
    await selfSigned('one.example.org')
    await selfSigned('two.example.org')
    const [one, two] = [await desk.fileOf('one.example.org'), await desk.fileOf('two.example.org')]
    await rm(join(desk.dir, 'certs', 'one.example.org.pem'))
    await writeFile(join(desk.dir, 'certs', 'two.example.org.pem'), 'damaged')
    await writeFile(join(desk.dir, 'certs', 'gone.example.org.pem'), 'left over')
    await writeFile(join(desk.dir, 'certs', 'one.example.org.pem.new'), 'half')
    await desk.restart()
    expect(await files()).toEqual(['one.example.org.pem', 'two.example.org.pem'])
    expect(await desk.fileOf('one.example.org')).toBe(one)
    expect(await desk.fileOf('two.example.org')).toBe(two)
  })
})

describe('killed in the middle of a change', () => {
  const never = () => new Promise<never>(() => undefined)

  it.each(['applying committed', 'hot-applied', 'result committed'] as const)(
    'after "%s", the next start brings it to its end, once',
    async (point) => {
      const call = newKey()
      let reached: () => void = () => undefined
      const died = new Promise<void>((resolve) => (reached = resolve))
      await desk.restart({
        faults: {
          at(at) {
            if (at !== point) return undefined
            reached()
            return never()
          },
        },
      })
      void imported(call)
      await died
      await desk.restart()
      const [row] = await list()
      expect(row).toMatchObject({ domain, kind: 'imported' })
      expect(await desk.fileOf(domain)).toContain(chain.leaf.trim())
      expect(await imported(call)).toEqual(row)
      expect(await list()).toEqual([row])
    },
  )
})
