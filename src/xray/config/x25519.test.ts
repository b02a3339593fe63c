import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { makeRealityKeys, publicKeyOf } from './x25519.ts'

it('makes the pair that Xray makes of the same private key', async () => {
  const { privateKey, publicKey } = makeRealityKeys()
  expect(privateKey).toMatch(/^[A-Za-z0-9_-]{43}$/)
  const { stdout } = await promisify(execFile)(xrayBinary(), ['x25519', '-i', privateKey])
  expect(stdout).toContain(privateKey)
  expect(stdout).toContain(publicKey)
})

it('makes another pair each time, from the randomness it is given', () => {
  expect(makeRealityKeys()).not.toEqual(makeRealityKeys())
  const fixed = { randomBytes: (size: number): Buffer => Buffer.alloc(size, 7) }
  expect(makeRealityKeys(fixed)).toEqual(makeRealityKeys(fixed))
})

it.each(['', 'short', 'A'.repeat(60)])('refuses %j as a private key', (key) => {
  expect(() => publicKeyOf(key)).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }))
})
