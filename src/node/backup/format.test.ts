import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { FleetError } from '#src/errors.ts'
import { bytesOf as all, contentOf, inParts, passphrase } from '#test/support/backup-files.ts'
import { createByteReader } from './byte-reader.ts'
import { inspectBackup, limited, readHeader, sealBackup, unsealBackup } from './format.ts'

const info = { createdAt: 1_800_000_000_000, release: '0.1.0', keyId: '0a1b2c3d' }
/** The cheapest that is read at all: these tests try hundreds of them. */
const cost = { N: 2 ** 14, r: 8, p: 1 }
const CHUNK = 64 * 1024
const SEALED = CHUNK + 16

const seal = (content: Uint8Array, words = passphrase): Promise<Buffer> =>
  all(sealBackup(contentOf(content), { passphrase: words, info, cost }))

async function unseal(file: AsyncIterable<Uint8Array>, words = passphrase): Promise<Buffer> {
  const reader = createByteReader(file)
  return all(unsealBackup(await readHeader(reader), reader, words))
}

const open = (file: Uint8Array, words?: string, partSize?: number): Promise<Buffer> =>
  unseal(inParts(file, partSize), words)

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'opened',
    (error: unknown) => (error instanceof FleetError ? error.code : String(error)),
  )

/** Where the sealed content begins. */
function contentAt(file: Buffer): number {
  let at = 0
  for (let line = 0; line < 3; line++) at = file.indexOf('\n', at) + 1
  return at
}

describe('a backup', () => {
  test.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])(
    'of %i bytes is what was put in, in whatever parts it comes',
    async (size) => {
      const content = randomBytes(size)
      const file = await seal(content)
      for (const partSize of [999, SEALED, 1_000_000]) {
        expect((await open(file, passphrase, partSize)).equals(content)).toBe(true)
      }
    },
  )

  test('tells what it is, and nothing of its content', async () => {
    const file = await seal(Buffer.from('anna@example'.repeat(1_000)))
    const { stream, ...known } = await inspectBackup(inParts(file, 3))
    expect(known).toEqual(info)
    expect((await all(stream)).equals(file)).toBe(true)
    expect(file.includes('anna')).toBe(false)
    expect(file.toString('latin1')).toMatch(
      /^fleetgram backup 1\n\{.*"scrypt":\{"N":16384,"r":8,"p":1\}.*\}\n/,
    )
  })

  test('of the same content is never the same file', async () => {
    const content = Buffer.alloc(100)
    const [one, other] = [await seal(content), await seal(content)]
    expect(one.subarray(contentAt(one)).equals(other.subarray(contentAt(other)))).toBe(false)
  })

  test('opens however the passphrase is spelled, and not with another', async () => {
    const file = await seal(Buffer.from('x'), 'Grüße aus Zürich'.normalize('NFC'))
    expect((await open(file, 'Grüße aus Zürich'.normalize('NFD'))).toString()).toBe('x')
    expect(await codeOf(open(file, 'grüße aus zürich'))).toBe('BACKUP_PASSPHRASE_WRONG')
  })

  test('costs whoever guesses a fifth of a second and 32 MiB', async () => {
    const file = await all(sealBackup(contentOf(Buffer.alloc(1)), { passphrase, info }))
    expect(file.toString('latin1')).toContain('"scrypt":{"N":32768,"r":8,"p":3}')
  })

  test('whose source fails does not come to an end', async () => {
    const good = contentOf(Buffer.alloc(CHUNK))
    let reads = 0
    const broken = async (into: Buffer): Promise<number> => {
      if (reads++ > 0) throw new Error('the disk is gone')
      return good(into)
    }
    await expect(all(sealBackup(broken, { passphrase, info, cost }))).rejects.toThrow('the disk is gone')
  })

  test('ends its source when nobody wants the rest', async () => {
    let isEnded = false
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.from('fleetgram backup 1\n{}\n')
      } finally {
        isEnded = true
      }
    }
    await codeOf(inspectBackup(source()))
    expect(isEnded).toBe(true)
  })
})

describe('what is no backup', () => {
  test.each([
    ['', 'NOT_A_BACKUP'],
    ['SQLite format 3\0', 'NOT_A_BACKUP'],
    ['fleetgram backup', 'NOT_A_BACKUP'],
    ['fleetgram backup \n{}\n', 'NOT_A_BACKUP'],
    ['fleetgram backup 0\n{}\n', 'NOT_A_BACKUP'],
    ['fleetgram backup one\n', 'NOT_A_BACKUP'],
    ['fleetgram backup 2\nanything', 'BACKUP_TOO_NEW'],
    ['fleetgram backup 1\n', 'BACKUP_DAMAGED'],
    ['fleetgram backup 1\n{}\n', 'BACKUP_DAMAGED'],
    [`fleetgram backup 1\n${'x'.repeat(5_000)}\n`, 'BACKUP_DAMAGED'],
  ])('%j is refused', async (text, code) => {
    expect(await codeOf(open(Buffer.from(text)))).toBe(code)
  })

  test('a file cannot ask for all memory, or for an hour', async () => {
    const file = await seal(Buffer.alloc(10))
    for (const dear of ['"N":1073741824', '"N":3', '"N":262144']) {
      const changed = Buffer.from(file.toString('latin1').replace('"N":16384', dear), 'latin1')
      expect(await codeOf(open(changed))).toBe('BACKUP_DAMAGED')
    }
  })

  test('one that is too long is not read to its end', async () => {
    await expect(all(limited(inParts(Buffer.alloc(100), 10), 55))).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    })
  })
})

describe('a damaged backup', () => {
  const content = randomBytes(3 * CHUNK + 500)
  let file: Buffer
  let start: number
  beforeAll(async () => {
    file = await seal(content)
    start = contentAt(file)
  })

  test('is refused wherever a bit has changed', { timeout: 120_000 }, async () => {
    const anywhere = fc.oneof(
      fc.nat({ max: file.length - 1 }),
      fc.nat({ max: start - 1 }),
      fc.constantFrom(start, start + SEALED - 1, start + SEALED, file.length - 1),
    )
    await fc.assert(
      fc.asyncProperty(anywhere, fc.integer({ min: 0, max: 7 }), async (at, bit) => {
        const changed = Buffer.from(file)
        changed[at] = (changed[at] ?? 0) ^ (1 << bit)
        expect(await codeOf(open(changed))).toMatch(
          /^(?:NOT_A_BACKUP|BACKUP_(?:DAMAGED|TOO_NEW|PASSPHRASE_WRONG))$/,
        )
      }),
      { numRuns: 100 },
    )
  })

  test('is refused wherever it is cut off, and with anything behind it', { timeout: 120_000 }, async () => {
    const ends = fc.oneof(
      fc.nat({ max: file.length - 1 }),
      fc.constantFrom(...[0, 1, 2, 3].flatMap((n) => [start + n * SEALED, start + n * SEALED + 16])),
    )
    await fc.assert(
      fc.asyncProperty(ends, async (end) => {
        expect(await codeOf(open(file.subarray(0, end)))).toMatch(/^(?:NOT_A_BACKUP|BACKUP_DAMAGED)$/)
      }),
      { numRuns: 60 },
    )
    for (const more of [1, 16, SEALED]) {
      const longer = Buffer.concat([file, Buffer.alloc(more)])
      expect(await codeOf(open(longer))).toBe('BACKUP_DAMAGED')
    }
  })

  test('is refused with its parts in another order, one left out, one twice, or one of another backup', async () => {
    const [head, ...rest] = [0, 1, 2, 3, 4].map((n) =>
      n === 0 ? file.subarray(0, start) : file.subarray(start + (n - 1) * SEALED, start + n * SEALED),
    ) as [Buffer, Buffer, Buffer, Buffer, Buffer]
    const [a, b, c, d] = rest
    const other = await seal(content)
    const foreign = other.subarray(contentAt(other), contentAt(other) + SEALED)
    for (const parts of [[b, a, c, d], [a, c, d], [a, a, b, c, d], [a, b, c], [d], [foreign, b, c, d]]) {
      expect(await codeOf(open(Buffer.concat([head, ...parts])))).toBe('BACKUP_DAMAGED')
    }
    expect((await open(Buffer.concat([head, a, b, c, d]))).equals(content)).toBe(true)
  })

  test('gives out nothing that was not proven', async () => {
    const changed = Buffer.from(file)
    changed[start + SEALED] = (changed[start + SEALED] ?? 0) ^ 1
    const reader = createByteReader(inParts(changed))
    const parts: Buffer[] = []
    const reading = async (): Promise<void> => {
      for await (const part of unsealBackup(await readHeader(reader), reader, passphrase)) parts.push(part)
    }
    expect(await codeOf(reading())).toBe('BACKUP_DAMAGED')
    expect(Buffer.concat(parts).equals(content.subarray(0, CHUNK))).toBe(true)
  })
})
