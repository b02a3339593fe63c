import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSecretBox, keyId, loadKey, secretBoxFor } from './secret-box.ts'

const key = Buffer.alloc(32, 1)
const otherKey = Buffer.alloc(32, 2)
const code = (expected: string) => expect.objectContaining({ code: expected })

describe('secret box', () => {
  test('opens what it sealed, at the same place', () => {
    const box = secretBoxFor(key)
    const sealed = box.seal('тайна 🔑', 'clients:3:17:credentials')
    expect(sealed).toMatch(/^[0-9a-f]{8}:/)
    expect(sealed).not.toContain('тайна')
    expect(box.open(sealed, 'clients:3:17:credentials')).toBe('тайна 🔑')
    expect(box.open(box.seal('', 'p'), 'p')).toBe('')
  })

  test('the same text never seals to the same value', () => {
    const box = secretBoxFor(key)
    expect(box.seal('a', 'p')).not.toBe(box.seal('a', 'p'))
  })

  test('a value moved to another row does not open', () => {
    const box = secretBoxFor(key)
    expect(() => box.open(box.seal('a', 'clients:3:17:credentials'), 'clients:4:17:credentials')).toThrow(
      code('SECRET_UNREADABLE'),
    )
  })

  test.each(['', 'x', 'x:', `${keyId(key)}:`, `${keyId(key)}:AAAA`])('refuses %j', (sealed) => {
    expect(() => secretBoxFor(key).open(sealed, 'p')).toThrow(code('SECRET_UNREADABLE'))
  })

  test('every changed byte is noticed', () => {
    const box = secretBoxFor(key)
    const [id, body] = box.seal('secret', 'p').split(':') as [string, string]
    const bytes = Buffer.from(body, 'base64url')
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(i) ^ 1, i)
      expect(() => box.open(`${id}:${changed.toString('base64url')}`, 'p')).toThrow(code('SECRET_UNREADABLE'))
    }
  })

  test('says that the key is another one', () => {
    const sealed = secretBoxFor(key).seal('a', 'p')
    expect(() => secretBoxFor(otherKey).open(sealed, 'p')).toThrow(/another key/)
  })

  test('an old key still opens, the new one seals', () => {
    const sealed = secretBoxFor(otherKey).seal('a', 'p')
    const box = createSecretBox([
      { id: keyId(key), key },
      { id: keyId(otherKey), key: otherKey },
    ])
    expect(box.open(sealed, 'p')).toBe('a')
    expect(box.seal('a', 'p')).toMatch(new RegExp(`^${keyId(key)}:`))
  })
})

describe('key', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fleetgram-key-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test('is made once, readable by its owner alone, and nothing else is left behind', () => {
    const file = join(folder, 'data', 'key')
    const made = loadKey({ file })
    expect(made).toHaveLength(32)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(loadKey({ file })).toEqual(made)
    expect(readdirSync(join(folder, 'data'))).toEqual(['key'])
  })

  test('comes from the environment in hex, base64 and base64url, and then makes no file', () => {
    const file = join(folder, 'key')
    const random = Buffer.from('fbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbefbef', 'hex')
    for (const encoding of ['hex', 'base64', 'base64url'] as const)
      expect(loadKey({ env: ` ${random.toString(encoding)}\n`, file })).toEqual(random)
    expect(readdirSync(folder)).toEqual([])
  })

  test('that is no key is refused, and a broken file is never replaced', () => {
    const file = join(folder, 'key')
    expect(() => loadKey({ env: 'short', file })).toThrow(code('KEY_INVALID'))
    writeFileSync(file, '')
    expect(() => loadKey({ file })).toThrow(code('KEY_INVALID'))
    expect(readFileSync(file, 'utf8')).toBe('')
  })
})
