import { describe, expect, test } from 'vitest'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { addServerRow, createTestFleetCa, newRequest } from '#test/support/test-fleet-ca.ts'
import { formatAddress, parseAddress, plainIp } from './address.ts'
import { createJoinToken, JOIN_TOKEN_LIFE_MS, parseJoinToken, redeemJoinToken } from './join-tokens.ts'

const code = (expected: string) => expect.objectContaining({ code: expected })
const nothing = (): void => undefined

async function setUp() {
  const runtime = createFakeRuntime({ now: Date.now() })
  const trust = await createTestFleetCa({ runtime })
  addServerRow(trust.db, 5)
  const deps = { ...trust, runtime }
  const make = (host = 'fleet.example.org') =>
    createJoinToken({ ...deps, controllerAddress: { host, port: 8444 }, serverId: 5 })
  const redeem = async (token: string, csr?: string) => {
    const { id, secret } = parseJoinToken(token)
    return redeemJoinToken(deps, { id, secret, csr: csr ?? (await newRequest()).csrPem }, nothing)
  }
  return { runtime, trust, deps, make, redeem }
}

describe('addresses', () => {
  test.each([
    ['example.org:8443', 'example.org', 8443],
    ['192.0.2.7:1', '192.0.2.7', 1],
    ['[2001:db8::1]:443', '2001:db8::1', 443],
    ['localhost:0', 'localhost', 0],
  ])('%s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port })
    expect(formatAddress({ host, port })).toBe(text)
  })

  test.each([
    '',
    'x',
    'x:',
    ':1',
    'x:65536',
    'x:-1',
    'x y:1',
    'a/b:1',
    'a@b:1',
    '2001:db8::1:443',
    '[x]:1',
    '[1.2.3.4]:1',
    '300.1.1.1:1',
    '-a:1',
    'a..b:1',
    'a:1:2',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined()
  })

  test('an IPv4 address that came through IPv6 is plain again', () => {
    expect(plainIp('::ffff:192.0.2.1')).toBe('192.0.2.1')
    expect(plainIp('2001:db8::1')).toBe('2001:db8::1')
  })
})

describe('a join token', () => {
  test.each(['fleet.example.org', '192.0.2.7', '2001:db8::1'])(
    'carries what a machine needs: %s',
    async (host) => {
      const { trust, make, runtime } = await setUp()
      const { token, expiresAt } = make(host)
      const parsed = parseJoinToken(`  ${token}\n`)
      expect(parsed).toMatchObject({ controller: { host, port: 8444 }, pin: trust.ca.spkiHash })
      expect(Buffer.from(parsed.secret, 'base64url')).toHaveLength(32)
      expect(expiresAt).toBe(runtime.now() + 15 * 60_000)
      // Only the hash of the secret is kept.
      expect(JSON.stringify(trust.db.prepare('select * from join_tokens').all())).not.toContain(parsed.secret)
      await trust.close()
    },
  )

  test('that is cut or mangled is refused without showing it', async () => {
    const { trust, make } = await setUp()
    const { token } = make()
    const secret = parseJoinToken(token).secret
    const mangled = [
      '',
      'hello',
      token.slice(4),
      token.slice(0, -1),
      `${token}x`,
      token.replace('fg1', 'fg2'),
      token.replace(':8444', ''),
      token.replace(':8444', ':0'),
      token.replace('fleet.example.org', 'fleet/example'),
      token.split('.').slice(0, -1).join('.'),
    ]
    for (const text of mangled) {
      expect(() => parseJoinToken(text)).toThrow(code('JOIN_TOKEN_INVALID'))
      expect(() => parseJoinToken(text)).not.toThrow(secret)
    }
    await trust.close()
  })

  test('gives an identity once', async () => {
    const { trust, make, redeem } = await setUp()
    const { token } = make()
    const { serverId, leaf } = await redeem(token)
    expect(serverId).toBe(5)
    expect(trust.identities.isAllowed(leaf.spkiHash, 5)).toBe(true)
    await expect(redeem(token)).rejects.toThrow(code('JOIN_TOKEN_USED'))
    expect(trust.identities.isAllowed(leaf.spkiHash, 5)).toBe(true)
    await trust.close()
  })

  test('may be shown again with the same key, whose answer may have been lost', async () => {
    const { trust, make, redeem, runtime } = await setUp()
    const { token } = make()
    const { csrPem } = await newRequest()
    const first = await redeem(token, csrPem)
    const again = await redeem(token, csrPem)
    expect(again.leaf.spkiHash).toBe(first.leaf.spkiHash)
    expect(trust.identities.isAllowed(again.leaf.spkiHash, 5)).toBe(true)
    runtime.skip(JOIN_TOKEN_LIFE_MS)
    await expect(redeem(token, csrPem)).rejects.toThrow(code('JOIN_TOKEN_EXPIRED'))
    await trust.close()
  })

  test('used by two machines at the same moment joins one of them', async () => {
    const { trust, make, redeem } = await setUp()
    const { token } = make()
    const results = await Promise.allSettled([redeem(token), redeem(token)])
    expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(trust.db.prepare('select count(*) as n from identities where server_id = 5').get()).toEqual({
      n: 1,
    })
    await trust.close()
  })

  test('expires after 15 minutes, and is forgotten a day later', async () => {
    const { trust, make, redeem, runtime } = await setUp()
    const { token } = make()
    runtime.skip(JOIN_TOKEN_LIFE_MS - 1)
    const late = make().token
    runtime.skip(1)
    await expect(redeem(token)).rejects.toThrow(code('JOIN_TOKEN_EXPIRED'))
    await expect(redeem(late)).resolves.toMatchObject({ serverId: 5 })
    runtime.skip(25 * 60 * 60_000)
    make()
    await expect(redeem(token)).rejects.toThrow(code('JOIN_TOKEN_WRONG'))
    await trust.close()
  })

  test('with a wrong secret or of a removed server is unknown', async () => {
    const { trust, make, redeem, deps } = await setUp()
    const { token } = make()
    const { id } = parseJoinToken(token)
    const { csrPem: csr } = await newRequest()
    const wrong = parseJoinToken(make().token).secret
    for (const secret of [wrong, '', 'x']) {
      await expect(redeemJoinToken(deps, { id, secret, csr }, nothing)).rejects.toThrow(
        code('JOIN_TOKEN_WRONG'),
      )
    }
    trust.db.prepare('delete from servers where id = 5').run()
    await expect(redeem(token)).rejects.toThrow(code('JOIN_TOKEN_WRONG'))
    await trust.close()
  })

  test('is not used up when what goes with it fails', async () => {
    const { trust, make, redeem, deps } = await setUp()
    const { token } = make()
    const { id, secret } = parseJoinToken(token)
    const { csrPem: csr } = await newRequest()
    const broken = redeemJoinToken(deps, { id, secret, csr }, () => {
      throw new Error('the disk is full')
    })
    await expect(broken).rejects.toThrow('the disk is full')
    await expect(redeem(token)).resolves.toMatchObject({ serverId: 5 })
    await trust.close()
  })

  test('ends the others of its server: one given out before and forgotten opens nothing', async () => {
    const { trust, make, redeem } = await setUp()
    const forgotten = make().token
    const { token } = make()
    const { csrPem } = await newRequest()
    expect(await redeem(token, csrPem)).toMatchObject({ serverId: 5 })
    await expect(redeem(forgotten)).rejects.toThrow(code('JOIN_TOKEN_EXPIRED'))
    // Its own answer may have been lost, so it may be asked again; and the next one is as good as any.
    expect(await redeem(token, csrPem)).toMatchObject({ serverId: 5 })
    expect(await redeem(make().token)).toMatchObject({ serverId: 5 })
    await trust.close()
  })
})
