import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeKeyPem, makeTestChain, type TestChain } from '#test/support/test-chain.ts'
import { haveSameKey, readPair } from './pem.ts'

const domain = 'vpn.example.org'
const names = [{ type: 'dns' as const, value: domain }]
const DAY = 24 * 60 * 60 * 1000

let good: TestChain
let other: TestChain
beforeAll(async () => {
  ;[good, other] = [await makeTestChain({ names }), await makeTestChain({ names })]
})

const read = (given: Partial<Parameters<typeof readPair>[0]> = {}) =>
  readPair(
    { domain, certificate: [good.leaf, ...good.issuers].join(''), key: good.key, ...given },
    Date.now(),
  )
const refusalOf = (given: Parameters<typeof read>[0]): unknown => {
  try {
    return read(given)
  } catch (error) {
    return error
  }
}
const bad = (field: string, reason: RegExp) => ({
  code: 'BAD_INPUT',
  details: { field, reason: expect.stringMatching(reason) as string },
})

describe('a certificate from elsewhere', () => {
  it('is read, with those that vouch for it', () => {
    const pair = read()
    expect(pair.issuer).toBe('Test Middle')
    expect(pair.notAfter - pair.notBefore).toBe(91 * DAY)
    expect(pair.sha256).toBe(new X509Certificate(good.leaf).fingerprint256.replaceAll(':', '').toLowerCase())
    expect(pair.chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(3)
    expect(new X509Certificate(pair.chain).checkPrivateKey(createPrivateKey(pair.key))).toBe(true)
  })

  it('may come with words, Windows line ends and a key before it, of which nothing is kept', () => {
    const text = `Bag Attributes\n${good.key}subject=/CN=x\n${good.leaf}`.replaceAll('\n', '\r\n')
    const pair = read({ certificate: text, key: text })
    expect(pair.chain).not.toMatch(/Bag|subject|\r|PRIVATE/)
    expect(pair.chain.match(/BEGIN/g)).toHaveLength(1)
  })

  it('may be for a * that covers the name, or for an IP address', async () => {
    const wild = await makeTestChain({ names: [{ type: 'dns', value: '*.example.org' }] })
    expect(read({ certificate: wild.leaf, key: wild.key })).toMatchObject({ issuer: 'Test Middle' })
    const ip = await makeTestChain({ names: [{ type: 'ip', value: '2001:db8::7' }] })
    expect(read({ domain: '2001:db8::7', certificate: ip.leaf, key: ip.key })).toBeDefined()
    expect(refusalOf({ certificate: ip.leaf, key: ip.key })).toMatchObject(
      bad('certificate', /not for vpn.example.org but for 2001:DB8/),
    )
  })

  it.each([
    ['PKCS #1', () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'pkcs1' as const],
    ['SEC 1', () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, 'sec1' as const],
  ])('may have a key written as %s', async (_name, generate, type) => {
    const key = generate().export({ type, format: 'pem' }) as string
    const chain = await makeTestChain({ names, key })
    expect(read({ certificate: chain.leaf, key }).key).toContain('-----BEGIN PRIVATE KEY-----')
  })
})

describe('is refused', () => {
  it('with the key of another', () => {
    expect(refusalOf({ key: other.key })).toMatchObject(bad('key', /belongs to another certificate/))
  })

  it('with those that vouch for it in another order, or for another', () => {
    const [middle = '', root = ''] = good.issuers
    expect(refusalOf({ certificate: [good.leaf, root, middle].join('') })).toMatchObject(
      bad('certificate', /number 2 in it did not sign number 1/),
    )
    expect(refusalOf({ certificate: [middle, good.leaf].join('') })).toMatchObject(
      bad('key', /first of its file/),
    )
    // The same names, signed by other keys.
    expect(refusalOf({ certificate: [good.leaf, ...other.issuers].join('') })).toMatchObject(
      bad('certificate', /number 2 in it did not sign number 1/),
    )
  })

  it('when it has ended, or is not valid yet', async () => {
    const old = await makeTestChain({ names, notAfter: Date.parse('2024-02-29T10:00:00Z'), notBefore: 0 })
    expect(refusalOf({ certificate: old.leaf, key: old.key })).toMatchObject(
      bad('certificate', /it ended on 2024-02-29/),
    )
    const early = await makeTestChain({ names, notBefore: Date.now() + DAY })
    expect(refusalOf({ certificate: early.leaf, key: early.key })).toMatchObject(
      bad('certificate', /it is not valid before/),
    )
  })

  it.each([
    ['no certificate', { certificate: 'hello' }, bad('certificate', /no certificate in it/)],
    [
      'a damaged certificate',
      { certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
      bad('certificate', /number 1 in it cannot be read/),
    ],
    ['no key', { key: '-----BEGIN CERTIFICATE-----' }, bad('key', /no private key/)],
    [
      'a damaged key',
      { key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----' },
      bad('key', /cannot be read/),
    ],
  ])('%s', (_name, given, expected) => {
    expect(refusalOf(given)).toMatchObject(expected)
  })

  it('more certificates than make sense', () => {
    expect(refusalOf({ certificate: good.leaf.repeat(11) })).toMatchObject(bad('certificate', /more than 10/))
  })

  it('a key that is locked, or too weak', () => {
    const key = createPrivateKey(good.key)
    const locked = key.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    }) as string
    expect(refusalOf({ key: locked })).toMatchObject(bad('key', /passphrase/))
    // As OpenSSL wrote them before: with headers that say how.
    const lockedBefore = key.export({
      type: 'sec1',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    }) as string
    expect(lockedBefore).toContain('DEK-Info: AES-256-CBC')
    expect(refusalOf({ key: lockedBefore })).toMatchObject(bad('key', /passphrase/))
    for (const weak of [
      makeKeyPem('rsa', { modulusLength: 1024 }),
      makeKeyPem('ec', { namedCurve: 'secp256k1' }),
    ]) {
      expect(refusalOf({ key: weak })).toMatchObject(bad('key', /RSA from 2048 bits/))
    }
  })
})

describe('two certificates', () => {
  it('have the same key or not', async () => {
    const renewed = await makeTestChain({ names, key: good.key })
    expect(haveSameKey(good.leaf, renewed.leaf)).toBe(true)
    expect(haveSameKey(good.leaf, other.leaf)).toBe(false)
  })
})
