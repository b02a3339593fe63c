import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Changes } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import { backupOf, restoreTo } from '#test/support/backup-files.ts'
import { type PaperNode, startPaperNode } from '#test/support/paper-node.ts'

const tag = fc.constantFrom('a', 'b', 'c', 'd')
const email = fc.constantFrom('anna', 'bert', 'carl', 'dora')
const step = fc.oneof(
  fc.record({ do: fc.constant('open' as const), tag }),
  fc.record({ do: fc.constant('close' as const), tag }),
  fc.record({ do: fc.constant('rename' as const), tag, to: tag }),
  fc.record({ do: fc.constant('switch' as const), tag, enabled: fc.boolean() }),
  fc.record({ do: fc.constant('join' as const), tag, email }),
  fc.record({ do: fc.constant('leave' as const), email }),
  fc.record({
    do: fc.constant('change' as const),
    email,
    enabled: fc.boolean(),
    comment: fc.constantFrom('x', 'y'),
  }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** What cannot be is refused, and that is all right: others of the list then have something to do. */
async function take(it: PaperNode, next: Step, ports: { next: number }): Promise<void> {
  const { operations } = it.node
  const once = { idempotencyKey: randomUUID() }
  const work: Record<Step['do'], () => Promise<unknown>> = {
    open: () => it.addInbound((next as { tag: string }).tag, ports.next++),
    close: () => operations['inbounds.delete']({ id: (next as { tag: string }).tag }, once),
    rename: () => {
      const { tag: id, to } = next as { tag: string; to: string }
      return operations['inbounds.update']({ id, tag: to }, once)
    },
    switch: () => {
      const { tag: id, enabled } = next as { tag: string; enabled: boolean }
      return operations['inbounds.update']({ id, enabled }, once)
    },
    join: () => {
      const given = next as { tag: string; email: string }
      return it.addClients(given.tag, given.email)
    },
    leave: () => it.deleteClient((next as { email: string }).email),
    change: () => {
      const { do: _, ...edit } = next as { do: string; email: string; enabled: boolean; comment: string }
      return operations['clients.update'](edit, once)
    },
  }
  await work[next.do]().catch((error: unknown) => {
    if (!(error instanceof FleetError) || error.status >= 500) throw error
  })
}

const state = (it: PaperNode): Promise<Changes> =>
  it.node.operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
const byId = <T extends { id: number }>(rows: T[]): Map<number, T> =>
  new Map(rows.map((row) => [row.id, row]))

/** What a row is, apart from how it is kept. */
function content<T extends { rowVersion: number; updatedAt: number }>({
  rowVersion: _v,
  updatedAt: _a,
  ...row
}: T) {
  return row
}

test(
  'whatever happened before a backup and since, it is put back as it was, and nothing else is touched',
  { timeout: 240_000 },
  async () => {
    const history = fc.array(step, { minLength: 3, maxLength: 14 })
    await fc.assert(
      fc.asyncProperty(history, history, async (before, since) => {
        const it = await startPaperNode()
        // None is used twice: a newer inbound must not be in the way of an old one.
        const ports = { next: 1_000 }
        try {
          for (const next of before) await take(it, next, ports)
          const then = await state(it)
          const file = await backupOf(it.node)
          for (const next of since) await take(it, next, ports)
          const last = await state(it)
          const report = await restoreTo(it.node, file)
          await expectPutBack({ it, then, last, report, now: await state(it) })
        } finally {
          await it.stop()
        }
      }),
      { numRuns: 15 },
    )
  },
)

async function expectPutBack(seen: {
  it: PaperNode
  then: Changes
  last: Changes
  now: Changes
  report: Awaited<ReturnType<typeof restoreTo>>
}): Promise<void> {
  const { it, then, last, now, report } = seen
  expect(now.epoch).not.toBe(last.epoch)
  expect(now.changeSeq).toBeGreaterThan(last.changeSeq)

  const inbounds = { then: byId(then.inbounds), last: byId(last.inbounds), now: byId(now.inbounds) }
  expect(new Set(inbounds.now.keys())).toEqual(new Set(inbounds.last.keys()))
  let taken = 0
  for (const [id, row] of inbounds.now) {
    const [old, recent] = [inbounds.then.get(id), inbounds.last.get(id)]
    const isAsThen = old !== undefined && old.tag === row.tag
    if (old !== undefined && !isAsThen) taken++
    expect(content(row)).toEqual(content((isAsThen ? old : recent) ?? row))
  }
  expect(report.inbounds.taken).toBe(taken)

  const clients = { then: byId(then.clients), last: byId(last.clients), now: byId(now.clients) }
  expect(new Set(clients.now.keys())).toEqual(new Set(clients.last.keys()))
  for (const [id, row] of clients.now) {
    const [old, recent] = [clients.then.get(id), clients.last.get(id)]
    const placed = [
      ...(old?.inbounds ?? []).filter((ref) => inbounds.now.has(ref)),
      ...(recent?.inbounds ?? []).filter((ref) => old === undefined || !inbounds.then.has(ref)),
    ]
    expect(content(row)).toEqual({
      ...content(old ?? recent ?? row),
      inbounds: placed.toSorted((a, b) => a - b),
    })
  }

  for (const kind of ['inbounds', 'clients'] as const) {
    const counts = report[kind]
    const all = counts.restored + counts.unchanged + counts.deleted + counts.taken
    expect(all).toBe(then[kind].length)
    expect(counts.kept).toBe(
      last[kind].filter(({ id }) => !byId(then[kind] as { id: number }[]).has(id)).length,
    )
  }

  // And Xray serves what stands there.
  const served = now.inbounds
    .filter(({ enabled }) => enabled)
    .map(({ id, tag: name }) => {
      const users = now.clients.filter((client) => client.enabled && client.inbounds.includes(id))
      return [`${name}:`, ...users.map((client) => client.email).toSorted()].join(' ')
    })
  expect(it.served()).toEqual(served.toSorted())
  for (const { tag: name, port: wanted } of now.inbounds.filter(({ enabled }) => enabled))
    expect(it.xray.inbounds.get(name)?.port).toBe(wanted)
}
