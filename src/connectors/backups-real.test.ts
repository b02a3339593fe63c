import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RestoreBackup, ServerConnector } from '#src/contract/index.ts'
import { bytesOf, inParts } from '#test/support/backup-files.ts'
import { plainInput as plain } from '#test/support/inputs.ts'
import { errorOf } from '#test/support/event-node.ts'
import { openRoads, type Roads } from '#test/support/roads.ts'
import { type ShippedAgent, startShippedAgent } from '#test/support/shipped-agent.ts'
import { createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { startTestNode, type TestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/client-process.ts'

let trust: TestFleetCa
let it: TestNode
let roads: Roads
let agent: ShippedAgent
beforeAll(async () => {
  trust = await createTestFleetCa()
  it = await startTestNode()
  roads = await openRoads(trust, it.node.operations)
  agent = await startShippedAgent(trust, 3, {})
})
afterAll(async () => {
  await agent.stop()
  await roads.close()
  await it.stop()
  await trust.close()
})

const key = () => ({ context: { idempotencyKey: randomUUID() } })
const person = (email: string) => ({ email, uuid: randomUUID(), subscriptionId: randomUUID() })

const ways: [kind: string, way: () => ServerConnector][] = [
  ['local', () => roads.local],
  ['remote', () => roads.remote],
  ['shipped', () => agent.connection],
]

describe.each(ways)('a real node, %s', (kind, way) => {
  const tag = `${kind}-in`
  test('gives a backup and takes it back, with the same refusals', async () => {
    const server = way()
    await server.inbounds.add(plain(tag, await freePort()), key())
    await server.clients.add({ id: tag, clients: [person(`${kind}-carl`)] }, key())
    const words = { passphrase: 'correct horse' }
    const { stream, ...known } = await server.backups.create(words)
    const file = await bytesOf(stream)
    expect(known).toEqual({
      createdAt: expect.any(Number) as number,
      release: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      keyId: expect.stringMatching(/^[0-9a-f]{8}$/) as string,
    })
    await server.clients.update({ email: `${kind}-carl`, enabled: false }, key())
    const once = key()
    const report = await server.backups.restore(words, inParts(file), once)
    expect(report).toMatchObject({
      clients: { restored: 1, names: { deleted: [] } },
      createdAt: known.createdAt,
    })
    expect(await server.backups.restore(words, inParts(file), once)).toEqual(report)

    const refused = async (code: string, input: RestoreBackup, bytes: Uint8Array, options: object = key()) =>
      expect(await errorOf(server.backups.restore(input, inParts(bytes), options))).toMatchObject({
        code,
      })
    await refused('IDEMPOTENCY_KEY_REQUIRED', words, file, {})
    await refused(
      'IDEMPOTENCY_CONFLICT',
      words,
      await bytesOf((await server.backups.create(words)).stream),
      once,
    )
    await refused('BACKUP_PASSPHRASE_WRONG', { passphrase: 'something else' }, file)
    await refused('BACKUP_DAMAGED', words, file.subarray(0, -1))
    await refused('NOT_A_BACKUP', words, Buffer.from('x'))
    await refused('BAD_INPUT', { passphrase: 'short' }, file)
    expect(await errorOf(server.backups.create({ passphrase: 'short' }))).toMatchObject({
      code: 'BAD_INPUT',
      details: { field: 'passphrase' },
    })
    await server.inbounds.delete({ id: tag }, key())
  })
})
