import { createCipheriv, createDecipheriv, createHash, createSecretKey, randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { fail } from '#src/errors.ts'

/** AES-256. */
const KEY_BYTES = 32
/** The nonce GCM is defined for; any other length would be hashed down to it. */
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** A call for randomness costs more than the cipher, however little is asked for. */
const NONCES_AT_ONCE = 64

/** Seals short texts, each bound to the place it stands in, so that one cannot be moved to another row or column. */
export interface SecretBox {
  /** Ids of the keys that open, the one that seals first. */
  readonly keyIds: readonly [string, ...string[]]
  /** `place` names table, row and column: 'clients:3:17:credentials'. */
  seal(plain: string, place: string): string
  /** @throws FleetError SECRET_UNREADABLE when it was sealed with another key, for another place, or was changed. */
  open(sealed: string, place: string): string
}

export interface SecretKey {
  /** Stands in clear in front of what this key sealed; no colon. */
  id: string
  /** 32 bytes. */
  key: Buffer
}

/** The id under which a key seals: eight hex digits that tell keys apart and say nothing about them. */
export function keyId(key: Buffer): string {
  return createHash('sha256').update('fleetgram key id\n').update(key).digest('hex').slice(0, 8)
}

/**
 * AES-256-GCM. The first key seals; every key opens what it sealed.
 * A sealed text is `<key id>:<base64url of nonce, ciphertext and tag>`.
 */
export function createSecretBox(keys: readonly SecretKey[]): SecretBox {
  const [first] = keys
  if (first === undefined) throw new TypeError('a secret box needs a key')
  for (const { id, key } of keys) {
    if (key.length !== KEY_BYTES || id.includes(':') || id === '') throw new TypeError('not a key')
  }
  // Made once: from bytes Node would make one for every call, which costs it four times as much as the cipher.
  const byId = new Map(keys.map(({ id, key }) => [id, createSecretKey(key)]))
  const sealing = createSecretKey(first.key)
  const nextNonce = createNonces()
  const others = keys.slice(1).map(({ id }) => id)
  return {
    keyIds: [first.id, ...others],
    seal(plain, place) {
      const nonce = nextNonce()
      const cipher = createCipheriv('aes-256-gcm', sealing, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(Buffer.from(place))
      const body = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${first.id}:${body.toString('base64url')}`
    },
    open(sealed, place) {
      const colon = sealed.indexOf(':')
      const id = colon < 0 ? '' : sealed.slice(0, colon)
      const key = byId.get(id)
      if (key === undefined) fail('SECRET_UNREADABLE', { place, reason: 'it was sealed with another key' })
      const body = Buffer.from(sealed.slice(colon + 1), 'base64url')
      if (body.length < NONCE_BYTES + TAG_BYTES)
        fail('SECRET_UNREADABLE', { place, reason: 'it is cut short' })
      const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(Buffer.from(place))
      decipher.setAuthTag(body.subarray(body.length - TAG_BYTES))
      try {
        const text = decipher.update(body.subarray(NONCE_BYTES, body.length - TAG_BYTES))
        return Buffer.concat([text, decipher.final()]).toString('utf8')
      } catch (cause) {
        return fail('SECRET_UNREADABLE', { place, reason: 'it was changed, or belongs elsewhere' }, { cause })
      }
    },
  }
}

/** Random nonces, each given out once. Not from Runtime: one that a test holds still would break the cipher. */
function createNonces(): () => Buffer {
  let drawn = Buffer.alloc(0)
  let used = 0
  return () => {
    if (used === drawn.length) {
      drawn = randomBytes(NONCE_BYTES * NONCES_AT_ONCE)
      used = 0
    }
    used += NONCE_BYTES
    return drawn.subarray(used - NONCE_BYTES, used)
  }
}

/** A box with one key: what every composition root needs. */
export function secretBoxFor(key: Buffer): SecretBox {
  return createSecretBox([{ id: keyId(key), key }])
}

/**
 * The 32-byte key that seals this machine's secrets: from the text `env` (base64 or hex), else from `file`, which is
 * made on the first start with mode 0600.
 * @throws FleetError KEY_INVALID
 */
export function loadKey(options: { env?: string | undefined; file: string }): Buffer {
  const fromEnv = options.env?.trim()
  if (fromEnv !== undefined && fromEnv !== '') return parseKey(fromEnv, 'FLEETGRAM_KEY')
  const present = readIfThere(options.file)
  if (present !== undefined) return parseKey(present.trim(), options.file)
  createKeyFile(options.file)
  // Read back rather than remembered: another process may have been first.
  return parseKey(readFileSync(options.file, 'utf8').trim(), options.file)
}

function parseKey(text: string, source: string): Buffer {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  // 43 digits of base64 or base64url and perhaps the padding: exactly 32 bytes.
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) {
    const key = Buffer.from(text, 'base64')
    if (key.length === KEY_BYTES) return key
  }
  return fail('KEY_INVALID', { source })
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Written whole beside its place and then linked there: a kill in between leaves no half key, a rival's key stays. */
function createKeyFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const handle = openSync(draft, 'wx', 0o600)
  try {
    writeSync(handle, `${randomBytes(KEY_BYTES).toString('base64')}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    linkSync(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(draft)
  }
}
