/** Thousands of clients at once, and one beside thousands: told by what is done, since times depend on the machine. */
import { randomUUID } from 'node:crypto'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import { emptyServerDatabase } from '#test/support/empty-database.ts'
import { createFakeXray } from '#test/support/fake-xray.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { startTestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'
import { createNode, type Node } from './node.ts'
import type { XrayParts } from './engine/xray-parts.ts'

const key = () => ({ idempotencyKey: randomUUID() })
const people = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) =>
    clientInput.parse({ email: `${name}-${i}`, uuid: randomUUID(), subscriptionId: randomUUID() }),
  )
async function addInbound({ operations }: Node, tag: string, port: number): Promise<void> {
  const stream = { transport: { type: 'raw' }, security: { type: 'none' } }
  const given = { tag, protocol: 'vless', port, listen: '127.0.0.1', stream }
  await operations['inbounds.add'](inboundInput.parse(given), key())
}
const add = ({ operations }: Node, id: string, clients: ReturnType<typeof people>) =>
  operations['clients.add']({ id, clients }, key())

/** What was done since it was last looked at. */
interface Effort {
  statements: number
  rows: number
  calls: string[]
}

/** A node over a database and an Xray that count. */
async function countedNode() {
  let effort: Effort = { statements: 0, rows: 0, calls: [] }
  const db = new Database(emptyServerDatabase()) as Sqlite
  const prepare = db.prepare.bind(db)
  const counted = (sql: string) => {
    const statement = prepare(sql)
    for (const name of ['run', 'get', 'all'] as const) {
      const work = statement[name].bind(statement) as (...given: unknown[]) => unknown
      Object.assign(statement, {
        [name]: (...given: unknown[]) => {
          const answer = work(...given)
          effort.statements++
          effort.rows += Array.isArray(answer) ? answer.length : 1
          return answer
        },
      })
    }
    return statement
  }
  Object.assign(db, { prepare: counted })
  const { parts } = createFakeXray()
  const api = new Proxy(parts.api, {
    get: (target, name: keyof XrayApi) => {
      const work = target[name] as (...given: unknown[]) => unknown
      return (...given: unknown[]) => {
        const many = Array.isArray(given[1]) ? `×${given[1].length}` : ''
        effort.calls.push(`${name}${many}`)
        return work(...given)
      }
    },
  })
  const node = createNode(
    {
      db,
      box: createSecretBox([{ id: 'k', key: Buffer.alloc(32, 1) }]),
      runtime: systemRuntime(),
      log: silentLog(),
      binary: 'xray',
      dir: '/nowhere',
      installDir: '/nowhere/bin',
      migrations: [],
      version: '0',
      publicAddress: 'server.example',
      accountingIntervalMs: 3_600_000,
    },
    { ...parts, api },
  )
  await node.start()
  return {
    node,
    parts,
    effortOf: async (work: () => Promise<unknown>): Promise<Effort> => {
      effort = { statements: 0, rows: 0, calls: [] }
      await work()
      return effort
    },
  }
}

describe('one client beside ten thousand', () => {
  test('costs what it costs beside none: the same statements, the same rows, one call', async () => {
    const { node, effortOf } = await countedNode()
    await addInbound(node, 'few', 1_001)
    await addInbound(node, 'many', 1_002)
    for (const name of ['a', 'b']) await add(node, 'many', people(name, 5_000))
    const [first, second] = [people('first', 1), people('second', 1)]
    const beside = await effortOf(() => add(node, 'many', first))
    const alone = await effortOf(() => add(node, 'few', second))
    expect(beside).toEqual(alone)
    expect(beside).toMatchObject({ calls: ['removeUsers×0', 'addUsers×1'] })
    expect(beside.rows).toBeLessThan(40)
    const away = (email: string) => effortOf(() => node.operations['clients.delete']({ email }, key()))
    expect(await away('first-0')).toEqual(await away('second-0'))
    await node.stop()
  })

  test('an inbound with two thousand goes by one call, though they stand in another one too', async () => {
    const { node, parts, effortOf } = await countedNode()
    await addInbound(node, 'goes', 1_001)
    await addInbound(node, 'stays', 1_002)
    const standing = people('a', 2_000)
    await add(node, 'goes', standing)
    await add(node, 'stays', standing)
    const { calls } = await effortOf(() => node.operations['inbounds.delete']({ id: 'goes' }, key()))
    expect(calls).toEqual(['removeInbound'])
    expect(await parts.api.users('stays')).toHaveLength(2_000)
    const { clients } = await node.operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
    expect(clients).toHaveLength(2_000)
    expect(clients.every(({ inbounds, rowVersion }) => inbounds.length === 1 && rowVersion === 3)).toBe(true)
    await node.stop()
  })
})

test(
  'five thousand clients come in one call and go in one, while Xray runs on',
  async () => {
    let parts: XrayParts | undefined
    const it = await startTestNode({ through: (real) => (parts = real) })
    try {
      const { operations } = it.node
      await addInbound(it.node, 'in-1', await freePort())
      const { pid } = await operations['xray.start'](undefined, key())
      const clients = people('c', 5_000)
      const answer = await add(it.node, 'in-1', clients)
      expect(answer).toHaveLength(5_000)
      expect(answer.every(({ links }) => links.length === 1)).toBe(true)
      expect(await parts?.api.users('in-1')).toHaveLength(5_000)
      const emails = clients.map(({ email }) => email)
      const gone = await operations['clients.deleteMany']({ emails }, key())
      expect(gone.emails).toHaveLength(5_000)
      expect(await parts?.api.users('in-1')).toEqual([])
      expect((await operations['xray.start'](undefined, key())).pid).toBe(pid)
    } finally {
      await it.stop()
    }
  },
  // Two to three seconds for either on an idle machine.
  120_000,
)
