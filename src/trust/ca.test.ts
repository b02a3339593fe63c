import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { createTestFleetCa, newRequest, openTestStore } from '#test/support/test-fleet-ca.ts'
import { SERVER_LEAF_LIFE_MS, loadOrCreateCa } from './ca.ts'
import { identityProblem, isController, spkiHash } from './peer.ts'
import { secretBoxFor } from './secret-box.ts'

const runtime = systemRuntime()
const box = secretBoxFor(Buffer.alloc(32, 3))
const code = (expected: string) => expect.objectContaining({ code: expected })

describe('the CA', () => {
  test('is made once, with its key sealed', async () => {
    const db = openTestStore()
    const first = await loadOrCreateCa({ db, box, runtime })
    const again = await loadOrCreateCa({ db, box, runtime })
    expect(again.certificatePem).toBe(first.certificatePem)
    const { value } = db.prepare("select value from settings where key = 'ca'").get() as { value: string }
    expect(value).not.toContain('PRIVATE KEY')
    await expect(loadOrCreateCa({ db, box: secretBoxFor(Buffer.alloc(32, 4)), runtime })).rejects.toThrow(
      code('SECRET_UNREADABLE'),
    )
    db.close()
  })

  test('two that start at once end up with one', async () => {
    const db = openTestStore()
    const [a, b] = await Promise.all([
      loadOrCreateCa({ db, box, runtime }),
      loadOrCreateCa({ db, box, runtime }),
    ])
    expect(a.spkiHash).toBe(b.spkiHash)
    db.close()
  })

  test('has a certificate for ten years that may sign leaves and nothing below them', async () => {
    const db = openTestStore()
    const ca = await loadOrCreateCa({ db, box, runtime })
    const certificate = new X509Certificate(ca.certificatePem)
    expect(certificate.ca).toBe(true)
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(spkiHash(certificate)).toBe(ca.spkiHash)
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' })
    const years = (Date.parse(certificate.validTo) - Date.now()) / (365 * 24 * 3_600_000)
    expect(years).toBeCloseTo(10, 1)
    db.close()
  })
})

describe('a leaf', () => {
  test('says what the CA wrote, whatever its request says', async () => {
    const trust = await createTestFleetCa()
    const { csrPem } = await newRequest()
    const leaf = await trust.ca.issueServerLeaf(csrPem, 17)
    const certificate = new X509Certificate(leaf.certificatePem)
    expect(certificate.subjectAltName).toBe('URI:fleetgram://server/17')
    expect(certificate.subject).toBe('CN=server 17')
    expect(isController(certificate)).toBe(false)
    expect(certificate.ca).toBe(false)
    expect(certificate.verify(new X509Certificate(trust.ca.certificatePem).publicKey)).toBe(true)
    expect(certificate.checkIssued(new X509Certificate(trust.ca.certificatePem))).toBe(true)
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    expect(certificate.serialNumber.toLowerCase()).toBe(leaf.serial)
    expect(leaf.serial).toMatch(/^[4-7][0-9a-f]{31}$/)
    const from = Date.parse(certificate.validFrom)
    const to = Date.parse(certificate.validTo)
    expect(Date.now() - from).toBeGreaterThanOrEqual(5 * 60_000 - 1_000)
    expect(to - from).toBe(SERVER_LEAF_LIFE_MS + 5 * 60_000)
    await trust.close()
  })

  test('of the controller names it, and where it answers', async () => {
    const trust = await createTestFleetCa()
    const { certificatePem } = await trust.ca.issueControllerLeaf([
      'fleet.example.org',
      '192.0.2.1',
      '2001:db8::1',
    ])
    const certificate = new X509Certificate(certificatePem)
    expect(isController(certificate)).toBe(true)
    expect(certificate.checkHost('fleet.example.org')).toBe('fleet.example.org')
    expect(certificate.checkIP('192.0.2.1')).toBe('192.0.2.1')
    expect(certificate.checkIP('2001:db8::1')).toBeDefined()
    await trust.close()
  })

  test('is refused for a request that is broken, changed, or of another kind of key', async () => {
    const trust = await createTestFleetCa()
    const { csrPem } = await newRequest()
    const der = Buffer.from(csrPem.replace(/-----[A-Z ]+-----/g, ''), 'base64')
    // The last byte lies in the signature.
    der.writeUInt8(der.readUInt8(der.length - 1) ^ 1, der.length - 1)
    const changed = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----`
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const noRequest = publicKey.export({ type: 'spki', format: 'pem' }) as string
    for (const bad of ['', 'x', changed, noRequest, trust.ca.certificatePem]) {
      await expect(trust.ca.issueServerLeaf(bad, 2)).rejects.toThrow(code('BAD_INPUT'))
    }
    await trust.close()
  })
})

describe('an identity', () => {
  test('is that of one server, while its key is allowed', async () => {
    const trust = await createTestFleetCa()
    const two = await trust.certify(2)
    const { raw } = new X509Certificate(two.certificatePem)
    const allowed = (hash: string, id: number) => trust.identities.isAllowed(hash, id)
    expect(identityProblem(raw, 2, allowed)).toBeUndefined()
    expect(identityProblem(raw, 3, allowed)).toBe('it is server 2')
    expect(identityProblem(raw, 22, allowed)).toBe('it is server 2')
    expect(identityProblem(new X509Certificate(trust.controller.certificatePem).raw, 2, allowed)).toMatch(
      /not that of a server/,
    )
    trust.identities.revoke(2)
    expect(identityProblem(raw, 2, allowed)).toBe('its certificate was revoked')
    await trust.close()
  })

  test('a new key takes the place of the old one; a revoked key never comes back', async () => {
    const trust = await createTestFleetCa()
    const old = await trust.certify(2)
    const next = await trust.certify(2)
    expect(trust.identities.isAllowed(old.spkiHash, 2)).toBe(false)
    expect(trust.identities.isAllowed(next.spkiHash, 2)).toBe(true)
    const again = { serial: '01', notAfter: 1 }
    expect(trust.identities.admit({ ...again, spkiHash: old.spkiHash, serverId: 2 })).toBe(false)
    // Nor does one server's key speak for another.
    await trust.certify(3)
    expect(trust.identities.admit({ ...again, spkiHash: next.spkiHash, serverId: 3 })).toBe(false)
    expect(trust.identities.isAllowed(next.spkiHash, 2)).toBe(true)
    await trust.close()
  })
})
