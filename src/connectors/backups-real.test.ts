import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RestoreBackup } from '#src/contract/index.ts'
import { bytesOf, inParts } from '#test/support/backup-files.ts'
import { plainInput as plain } from '#test/support/inputs.ts'
import { errorOf } from '#test/support/event-node.ts'
import { kinds, openRoads, type Roads } from '#test/support/roads.ts'
import { createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { startTestNode, type TestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/client-process.ts'

let trust: TestFleetCa
let it: TestNode
let roads: Roads
beforeAll(async () => {
  trust = await createTestFleetCa()
  it = await startTestNode()
  roads = await openRoads(trust, it.node.operations)
})
afterAll(async () => {
  await roads.close()
  await it.stop()
  await trust.close()
})

const key = () => ({ context: { idempotencyKey: randomUUID() } })
const person = (email: string) => ({ email, uuid: randomUUID(), subscriptionId: randomUUID() })

describe.each(kinds)('a real node by the %s connector', (kind) => {
  const tag = `${kind}-in`
  test('gives a backup and takes it back, with the same refusals', async () => {
    await roads[kind].inbounds.add(plain(tag, await freePort()), key())
    await roads[kind].clients.add({ id: tag, clients: [person(`${kind}-carl`)] }, key())
    const words = { passphrase: 'correct horse' }
    const { stream, ...known } = await roads[kind].backups.create(words)
    const file = await bytesOf(stream)
    expect(known).toEqual({
      createdAt: expect.any(Number) as number,
      release: '0.0.0-test',
      keyId: expect.stringMatching(/^[0-9a-f]{8}$/) as string,
    })
    await roads[kind].clients.update({ email: `${kind}-carl`, enabled: false }, key())
    const once = key()
    const report = await roads[kind].backups.restore(words, inParts(file), once)
    expect(report).toMatchObject({
      clients: { restored: 1, names: { deleted: [] } },
      createdAt: known.createdAt,
    })
    expect(await roads[kind].backups.restore(words, inParts(file), once)).toEqual(report)

    const refused = async (code: string, input: RestoreBackup, bytes: Uint8Array, options: object = key()) =>
      expect(await errorOf(roads[kind].backups.restore(input, inParts(bytes), options))).toMatchObject({
        code,
      })
    await refused('IDEMPOTENCY_KEY_REQUIRED', words, file, {})
    await refused(
      'IDEMPOTENCY_CONFLICT',
      words,
      await bytesOf((await roads[kind].backups.create(words)).stream),
      once,
    )
    await refused('BACKUP_PASSPHRASE_WRONG', { passphrase: 'something else' }, file)
    await refused('BACKUP_DAMAGED', words, file.subarray(0, -1))
    await refused('NOT_A_BACKUP', words, Buffer.from('x'))
    await refused('BAD_INPUT', { passphrase: 'short' }, file)
    expect(await errorOf(roads[kind].backups.create({ passphrase: 'short' }))).toMatchObject({
      code: 'BAD_INPUT',
      details: { field: 'passphrase' },
    })
    await roads[kind].inbounds.delete({ id: tag }, key())
  })
})
