import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { MAX_BACKUP_BYTES, type RestoreReport } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import { createByteReader } from '#src/node/backup/byte-reader.ts'
import { readHeader, sealBackup, unsealBackup } from '#src/node/backup/format.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { type Runtime, systemRuntime } from '#src/runtime.ts'
import { bytesOf, contentOf, inParts, passphrase } from '#test/support/backup-files.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { type Connection, createConnectorFactory } from './factory.ts'
import type { Listening } from './listening.ts'

const MB = 1024 * 1024
const info = { createdAt: 5, release: '1.2.3', keyId: 'abc' }
const cost = { N: 2 ** 14, r: 8, p: 1 }
const kinds = ['local', 'remote'] as const

let trust: TestFleetCa
let closing: (() => Promise<void>)[] = []
beforeAll(async () => {
  trust = await createTestFleetCa()
})
afterEach(async () => {
  for (const close of closing.reverse()) await close()
  closing = []
})
afterAll(() => trust.close())

/** A node whose files are as large as a test wants, and who remembers how far it came. */
function fileNode(size: number) {
  const seen = { made: 0, isEnded: false, taken: 0, failure: undefined as unknown, reads: [] as object[] }
  const read = async (into: Buffer): Promise<number> => {
    const part = Math.min(into.length, size - seen.made)
    seen.made += part
    return part
  }
  async function* make(words: string): AsyncGenerator<Uint8Array> {
    try {
      yield* sealBackup(read, { passphrase: words, info, cost })
    } finally {
      seen.isEnded = true
    }
  }
  const operations: Partial<NodeOperations> = {
    'backups.create': async (input) => make(input.passphrase),
    'backups.restore': async (input, _call, file) => {
      seen.reads.push(input)
      const reader = createByteReader(file)
      try {
        for await (const part of unsealBackup(await readHeader(reader), reader, input.passphrase))
          seen.taken += part.length
      } catch (error) {
        seen.failure = error
        throw error
      }
      return report
    },
  }
  return { seen, operations: operations as NodeOperations }
}

const none = { restored: 0, unchanged: 0, deleted: 0, taken: 0, kept: 0 }
const counts = { ...none, names: { deleted: [], taken: [], kept: [] } }
const report: RestoreReport = {
  createdAt: 5,
  release: '1.2.3',
  schema: 'x',
  inbounds: counts,
  clients: counts,
}

async function open(
  operations: NodeOperations,
  runtime: Runtime = systemRuntime(),
): Promise<Record<(typeof kinds)[number], Connection> & { agent: Listening }> {
  const agent = await trust.serve(await trust.certify(2), operations)
  const connect = createConnectorFactory({
    operations,
    secureContext: trust.secureContext,
    isAllowed: (hash, id) => trust.identities.isAllowed(hash, id),
    runtime,
    log: silentLog(),
  })
  const local = connect({ id: 1, kind: 'local', endpoint: null })
  const remote = connect({ id: 2, kind: 'agent', endpoint: `https://127.0.0.1:${agent.port}` })
  closing.push(
    () => agent.close(),
    () => remote.close(),
  )
  return { local, remote, agent }
}

const key = () => ({ context: { idempotencyKey: randomUUID() } })

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => new Error('it went well'),
    (error: unknown) => error,
  )
}

describe.each(kinds)('by the %s connector', (kind) => {
  test('a file larger than any answer goes there, and back while it comes', async () => {
    const { seen, operations } = fileNode(150 * MB)
    const { backups } = (await open(operations))[kind]
    const { stream, ...known } = await backups.create({ passphrase })
    expect(known).toEqual(info)
    expect(await backups.restore({ passphrase }, stream, key())).toEqual(report)
    expect([seen.taken, seen.isEnded]).toEqual([150 * MB, true])
  }, 120_000)

  test('a slow reader slows the server down, and one who leaves ends it', async () => {
    const { seen, operations } = fileNode(200 * MB)
    const { backups } = (await open(operations))[kind]
    const { stream } = await backups.create({ passphrase })
    const iterator = stream[Symbol.asyncIterator]()
    for (let part = 0; part < 5; part++) await iterator.next()
    let made = -1
    await expect.poll(() => made === (made = seen.made), { interval: 200, timeout: 10_000 }).toBe(true)
    // The buffers of both sockets and of both ends.
    expect(seen.made).toBeLessThan(30 * MB)
    await iterator.return?.()
    await expect.poll(() => seen.isEnded, { timeout: 10_000 }).toBe(true)
  })

  test('one who does not want what he asked for ends it too', async () => {
    const { seen, operations } = fileNode(200 * MB)
    const { backups } = (await open(operations))[kind]
    const { stream } = await backups.create({ passphrase })
    await stream[Symbol.asyncIterator]().return?.()
    await expect.poll(() => seen.isEnded || seen.made === 0, { timeout: 10_000 }).toBe(true)
  })

  test('a refusal is heard while the file is still on its way', async () => {
    const { operations } = fileNode(0)
    const { backups } = (await open(operations))[kind]
    const file = await bytesOf(sealBackup(contentOf(Buffer.alloc(40 * MB)), { passphrase, info, cost }))
    for (let time = 0; time < 10; time++) {
      const error = await errorOf(backups.restore({ passphrase: 'something else' }, inParts(file), key()))
      expect(error).toMatchObject({ code: 'BACKUP_PASSPHRASE_WRONG' })
    }
    expect(await backups.restore({ passphrase }, inParts(file), key())).toEqual(report)
  })

  test("what is wrong with the caller's own file the caller hears as it is", async () => {
    const { seen, operations } = fileNode(0)
    const { backups } = (await open(operations))[kind]
    const own = new FleetError('RATE_LIMITED', { seconds: 3 })
    const file = await bytesOf(sealBackup(contentOf(Buffer.alloc(MB)), { passphrase, info, cost }))
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* inParts(file.subarray(0, MB / 2))
      throw own
    }
    expect(await errorOf(backups.restore({ passphrase }, broken(), key()))).toBe(own)
    await expect.poll(() => seen.failure, { timeout: 10_000 }).toBeDefined()
  })

  test('nobody waits for ever', async () => {
    const never = new Promise<never>(() => undefined)
    const operations: Partial<NodeOperations> = {
      'backups.create': () => never,
      'backups.restore': () => never,
    }
    // Only the clock of the caller is hurried.
    const hurried: Runtime = {
      ...systemRuntime(),
      alarm: (_ms, ring) => systemRuntime().alarm(50, ring),
      sleep: () => sleep(50),
    }
    const { backups } = (await open(operations as NodeOperations, hurried))[kind]
    expect(await errorOf(backups.create({ passphrase }))).toMatchObject({
      code: 'SERVER_TIMEOUT',
      details: { seconds: 60 },
    })
    expect(await errorOf(backups.restore({ passphrase }, inParts(Buffer.alloc(10)), key()))).toMatchObject({
      code: 'SERVER_TIMEOUT',
      details: { seconds: 900 },
    })
  })

  test('the caller may stop waiting', async () => {
    const operations: Partial<NodeOperations> = {
      'backups.create': () => new Promise(() => undefined),
      'backups.restore': async (_input, _call, file) => {
        for await (const _part of file) void _part
        return report
      },
    }
    const { backups } = (await open(operations as NodeOperations))[kind]
    const stop = new AbortController()
    const { signal } = stop
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('fleetgram')
      await new Promise(() => undefined)
    }
    const calls = [
      backups.create({ passphrase }, { signal }),
      backups.restore({ passphrase }, endless(), { ...key(), signal }),
    ]
    stop.abort(new Error('enough'))
    for (const call of calls) await expect(call).rejects.toThrow('enough')
  })
})

async function drained(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _part of stream) void _part
}

test('a server that dies while it sends is told as such', async () => {
  const { operations } = fileNode(200 * MB)
  const { remote, agent } = await open(operations)
  const { stream } = await remote.backups.create({ passphrase })
  const reading = (async () => {
    for await (const _part of stream) await agent.close()
  })()
  expect(await errorOf(reading)).toMatchObject({ code: 'SERVER_UNREACHABLE', retryable: true })
})

test('more than a backup may have is not taken', async () => {
  const head = await bytesOf(sealBackup(contentOf(Buffer.alloc(0)), { passphrase, info, cost }))
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield head
    const part = Buffer.alloc(16 * MB)
    for (let sent = 0; sent < MAX_BACKUP_BYTES + 32 * MB; sent += part.length) yield part
  }
  const operations = { 'backups.create': async () => endless() } as Partial<NodeOperations>
  const { stream } = await (await open(operations as NodeOperations)).local.backups.create({ passphrase })
  await expect(drained(stream)).rejects.toMatchObject({
    code: 'PAYLOAD_TOO_LARGE',
  })
})
