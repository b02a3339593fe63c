/**
 * The file of a backup: two lines that say what it is and how its key is made, one that proves the passphrase, then
 * the content in sealed chunks, each bound to its place and the last to being the last. Described for others in
 * docs/reference/backup-format.md.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, scrypt } from 'node:crypto'
import { z } from 'zod'
import { type BackupFile, type BackupInfo, MAX_BACKUP_BYTES } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { isSameText } from '#src/trust/same-text.ts'
import { type ByteReader, createByteReader } from './byte-reader.ts'

const MAGIC = 'fleetgram backup '
const VERSION = 1

/** Content bytes of a chunk: few enough to hold several, enough that the 16 bytes of a tag do not matter. */
const CHUNK_BYTES = 64 * 1024
const TAG_BYTES = 16
const KEY_BYTES = 32
/** The longest of the lines in front, bytes; ours have some 200. */
const LINE_LIMIT = 4_096

/** How dear a guess at the passphrase is. */
export interface ScryptCost {
  N: number
  r: number
  p: number
}

/**
 * One of the settings OWASP holds equally strong. Of those it takes 32 MiB for a fifth of a second: what a server of 512
 * MB can spare for a moment, where the one with 128 MiB could cost it its Xray.
 */
const defaultCost: ScryptCost = { N: 2 ** 15, r: 8, p: 3 }

/** What we would make, now or in a later release. A file must not be able to ask for all memory or for a week. */
const allowedCost = z.strictObject({
  N: z.union([z.literal(2 ** 14), z.literal(2 ** 15), z.literal(2 ** 16), z.literal(2 ** 17)]),
  r: z.literal(8),
  p: z.number().int().min(1).max(16),
})

const headerLine = z.object({
  createdAt: z.number().int().nonnegative(),
  release: z.string().min(1).max(64),
  keyId: z.string().min(1).max(64),
  scrypt: allowedCost,
  salt: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
})

export interface BackupHeader extends BackupInfo {
  scrypt: ScryptCost
  salt: string
  /** The lines it was read from, which the key depends on. */
  text: string
}

interface FileKeys {
  content: Buffer
  /** Proves that the passphrase is right and the header unchanged. */
  proof: string
}

async function fileKeys(passphrase: string, header: BackupHeader): Promise<FileKeys> {
  const { N, r, p } = header.scrypt
  const options = { N, r, p, maxmem: 128 * N * r + 128 * r * p + 1024 * 1024 }
  // One text has several spellings in Unicode, and two keyboards need not agree on one.
  const [text, salt] = [passphrase.normalize('NFC'), Buffer.from(header.salt, 'base64url')]
  const master = await new Promise<Buffer>((resolve, reject) => {
    scrypt(text, salt, KEY_BYTES, options, (error, key) => (error === null ? resolve(key) : reject(error)))
  })
  const derive = (use: string): Buffer =>
    Buffer.from(hkdfSync('sha256', master, header.text, `fleetgram backup ${use}`, KEY_BYTES))
  return {
    content: derive('content'),
    proof: createHmac('sha256', derive('header')).update(header.text).digest('base64url'),
  }
}

/** Never used twice: the key is one file's alone, and the number one chunk's. */
function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(index, 5, 6)
  nonce[11] = isLast ? 1 : 0
  return nonce
}

/** Fills a buffer with what comes next. @returns how many bytes came: fewer than there is room for only at the end */
export type ReadContent = (into: Buffer) => Promise<number>

/**
 * Seals a content into a backup. The first piece it yields is the three lines in front. What is read goes into the same
 * two buffers again and again: a large file leaves no litter.
 * @param options.cost cheaper only where a test makes hundreds of them
 */
export async function* sealBackup(
  read: ReadContent,
  options: { passphrase: string; info: BackupInfo; cost?: ScryptCost },
): AsyncGenerator<Uint8Array, void, undefined> {
  const { createdAt, release, keyId } = options.info
  const cost = options.cost ?? defaultCost
  // Not from Runtime: a salt that a test holds still would break the cipher.
  const salt = randomBytes(16).toString('base64url')
  const line = JSON.stringify({ createdAt, release, keyId, scrypt: cost, salt })
  const header = { ...options.info, scrypt: cost, salt, text: `${MAGIC}${VERSION}\n${line}\n` }
  const keys = await fileKeys(options.passphrase, header)
  yield Buffer.from(`${header.text}${keys.proof}\n`)
  let [current, next] = [Buffer.allocUnsafeSlow(CHUNK_BYTES), Buffer.allocUnsafeSlow(CHUNK_BYTES)]
  let size = await read(current)
  for (let [index, isLast] = [0, false]; !isLast; index++) {
    const ahead = size < CHUNK_BYTES ? 0 : await read(next)
    isLast = ahead === 0
    const cipher = createCipheriv('aes-256-gcm', keys.content, nonceOf(index, isLast), {
      authTagLength: TAG_BYTES,
    })
    yield cipher.update(current.subarray(0, size))
    cipher.final()
    yield cipher.getAuthTag()
    ;[current, next, size] = [next, current, ahead]
  }
}

/**
 * Reads what stands in front of a backup. Nothing of it is proven yet: `unsealBackup` does that.
 * @throws FleetError NOT_A_BACKUP, BACKUP_DAMAGED, BACKUP_TOO_NEW
 */
export async function readHeader(reader: ByteReader): Promise<BackupHeader> {
  const first = await reader.line(MAGIC.length + 8)
  const version = first?.startsWith(MAGIC) === true ? first.slice(MAGIC.length) : undefined
  if (version === undefined || !/^[1-9]\d{0,5}$/.test(version)) {
    fail('NOT_A_BACKUP', { reason: 'it does not begin like one' })
  }
  if (Number(version) > VERSION) fail('BACKUP_TOO_NEW', { release: `file format ${version}` })
  const line = await reader.line(LINE_LIMIT)
  const parsed = headerLine.safeParse(parseJson(line ?? ''))
  if (!parsed.success) fail('BACKUP_DAMAGED', { reason: 'its first lines are not what they should be' })
  return { ...parsed.data, text: `${first}\n${line}\n` }
}

/**
 * The content of a backup, each chunk proven before it is given out. That it is whole is certain only at its end.
 * @param reader stands behind the header
 * @throws FleetError BACKUP_PASSPHRASE_WRONG, BACKUP_DAMAGED
 */
export async function* unsealBackup(
  header: BackupHeader,
  reader: ByteReader,
  passphrase: string,
): AsyncGenerator<Buffer, void, undefined> {
  const given = await reader.line(LINE_LIMIT)
  const keys = await fileKeys(passphrase, header)
  if (given === undefined) fail('BACKUP_DAMAGED', { reason: 'it is cut short' })
  if (!isSameText(given, keys.proof)) fail('BACKUP_PASSPHRASE_WRONG')
  for (let [index, isLast] = [0, false]; !isLast; index++) {
    const sealed = await reader.take(CHUNK_BYTES + TAG_BYTES)
    isLast = await reader.ended()
    if (sealed.length < TAG_BYTES) fail('BACKUP_DAMAGED', { reason: 'it is cut short' })
    const decipher = createDecipheriv('aes-256-gcm', keys.content, nonceOf(index, isLast), {
      authTagLength: TAG_BYTES,
    })
    const end = sealed.length - TAG_BYTES
    decipher.setAuthTag(sealed.subarray(end))
    const chunk = decipher.update(sealed.subarray(0, end))
    try {
      // Nothing comes of it but whether all that came before is right.
      decipher.final()
    } catch (cause) {
      const reason = isLast ? 'its end is missing or was changed' : 'a part of it was changed or moved'
      return fail('BACKUP_DAMAGED', { reason }, { cause })
    }
    yield chunk
  }
}

/**
 * What can be known of a backup before its passphrase, and the whole file again.
 * @throws FleetError NOT_A_BACKUP, BACKUP_DAMAGED, BACKUP_TOO_NEW
 */
export async function inspectBackup(file: AsyncIterable<Uint8Array>): Promise<BackupFile> {
  const reader = createByteReader(limited(file))
  try {
    const { text, createdAt, release, keyId } = await readHeader(reader)
    return { createdAt, release, keyId, stream: reader.rest(Buffer.from(text)) }
  } catch (error) {
    await reader.close()
    throw error
  }
}

/**
 * A file as long as it is not too long.
 * @throws FleetError PAYLOAD_TOO_LARGE while it is read
 */
export async function* limited(
  file: AsyncIterable<Uint8Array>,
  limit = MAX_BACKUP_BYTES,
): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0
  for await (const part of file) {
    size += part.byteLength
    if (size > limit) fail('PAYLOAD_TOO_LARGE', { limit })
    yield part
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
