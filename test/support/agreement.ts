/** Holds against each other what the journal says, what the servers hold, what their Xray does, and what is shown. */
import { expect } from 'vitest'
import { verifyChain } from '#src/fleet/journal-chain.ts'
import { createRows } from '#src/node/rows/rows.ts'
import { parseXrayName } from '#src/xray/config/user-name.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import type { FaultWorld } from './fault-world.ts'
import type { FaultyNode } from './faulty-node.ts'
import { type Holdings, type ServerModel, applyTo, emptyModel, holdingsOf } from './server-model.ts'
import { idOf } from './xray-server.ts'

interface JournalRow {
  id: string
  seq: number
  batch: string
  serverId: number
  operation: string
  status: string
  code: string | null
}

const box = secretBoxFor(Buffer.alloc(32, 9))
const FINAL = ['applied', 'unchanged', 'failed', 'cancelled', 'expired']
/** Faults the tests make, rather than what a request deserves. */
const MADE = ['XRAY_REFUSED', 'SERVER_DISABLED']

function journalOf(world: FaultWorld): JournalRow[] {
  return world.house.db.$client
    .prepare(
      `select id, seq, batch, server_id as serverId, operation, status, error ->> '$.code' as code
       from server_tasks where operation not like 'servers.%' order by seq`,
    )
    .all() as JournalRow[]
}

/** Every target of every batch has one row, and a last word that nothing changes any more. */
export function createWitness(world: FaultWorld) {
  const finals = new Map<string, string>()
  return {
    look(): void {
      for (const { id, status, code } of journalOf(world)) {
        if (!FINAL.includes(status)) continue
        const word = `${status} ${code ?? ''}`
        expect(finals.get(id) ?? word, `the last word on task ${id}`).toBe(word)
        finals.set(id, word)
      }
    },
    lookAtTheEnd(): void {
      const rows = journalOf(world)
      for (const { id, status } of rows) expect(FINAL, `task ${id} has ended`).toContain(status)
      for (const [batch, { inputs }] of world.batches) {
        const servers = rows.filter((row) => row.batch === batch).map((row) => row.serverId)
        expect(new Set(servers).size, `targets of ${batch}, once each`).toBe(servers.length)
        for (const server of servers) expect(inputs.has(server)).toBe(true)
        const told = world.told.get(batch)
        if (told === undefined) continue
        const words = (tasks: { id: string; status: string }[]) =>
          Object.fromEntries(tasks.map(({ id, status }) => [id, status]))
        const written = rows.filter((row) => row.batch === batch)
        expect(words(told), `what is told of ${batch}`).toEqual(words(written))
      }
      expect(verifyChain(world.house.db.$client)).toMatchObject({ intact: true })
    },
  }
}

/** What a node's rows and its Xray hold. */
function holdingsAt(node: FaultyNode): { rows: Holdings; xray: Record<string, string[]> } {
  const rows = createRows(node.db(), box)
  const inbounds = rows.inbounds()
  const clients = rows.clients()
  const tagOf = new Map(inbounds.map(({ id, tag }) => [id, tag]))
  const open = Object.fromEntries(
    [...node.xray.inbounds.values()].map(({ tag, port, users }) => [
      `${tag}:${port}`,
      [...users.values()].map((user) => `${parseXrayName(user.email)?.email} ${idOf(user)}`).toSorted(),
    ]),
  )
  return {
    rows: holdingsOf(asModel()),
    xray: open,
  }

  function asModel(): ServerModel {
    const models = new Map(
      inbounds.map(({ id, tag, port, remark, enabled, rowVersion }) => [
        id,
        { tag, port, remark, enabled, rowVersion },
      ]),
    )
    return {
      inbounds: [...models.values()],
      clients: clients.map(
        ({ email, uuid, subscriptionId, enabled, comment, rowVersion, inbounds: stands }) => ({
          email,
          uuid,
          subscriptionId,
          enabled,
          comment,
          rowVersion,
          inbounds: stands.map((id) => {
            const model = models.get(id)
            if (model === undefined)
              throw new Error(`${email} stands in inbound ${id}, ${tagOf.size} are there`)
            return model
          }),
        }),
      ),
    }
  }
}

/** The journal's account of one server, told again to the model. */
function retell(world: FaultWorld, serverId: number, node: FaultyNode): Holdings {
  const applied = node.db().prepare('select key, status from applied_tasks').all() as {
    key: string
    status: string
  }[]
  const statusOf = new Map(applied.map(({ key, status }) => [key, status]))
  const rows = journalOf(world).filter((row) => row.serverId === serverId)
  const model = emptyModel()
  for (const row of rows) {
    const answer = node.answers.get(row.id)
    const here = statusOf.get(row.id)
    const now = answer?.life === node.life()
    // Done before the database was replaced, and gone with it; or still under way in the copy, and refused since.
    const isGone = here === undefined || (here === 'failed' && row.status === 'applied')
    if (isGone && !now) continue
    const about = `task ${row.seq} ${row.operation} on server ${serverId}: ${row.status} ${row.code ?? ''}, ${here}`
    if (here === 'applied' && row.status !== 'applied') expect.fail(`the journal does not know of ${about}`)
    if (row.status === 'applied') {
      if (now) expect(here, about).toBe('applied')
      expect(
        applyTo(model, row.operation as never, world.batches.get(row.batch)?.inputs.get(serverId)),
        about,
      ).toBe('ok')
      continue
    }
    if (MADE.includes(row.code ?? '')) continue
    const expected = applyTo(
      structuredClone(model),
      row.operation as never,
      world.batches.get(row.batch)?.inputs.get(serverId),
    )
    const code = row.status === 'unchanged' ? /NOT_FOUND$/ : new RegExp(`^${row.code}$`)
    expect(expected, about).toMatch(code)
  }
  const seqOf = new Map(rows.map(({ id, seq }) => [id, seq]))
  const all = node.db().prepare('select key from test_effects order by n').pluck().all() as string[]
  // What a node does of its own accord, such as keeping limits, stands in no journal.
  const effects = all.filter((key) => !key.startsWith('limits:'))
  expect(new Set(effects).size, `changes on server ${serverId}, once each`).toBe(effects.length)
  const done = effects.map((key) => seqOf.get(key) ?? -1)
  expect(done, `the order of changes on server ${serverId}`).toEqual(done.toSorted((a, b) => a - b))
  return holdingsOf(model)
}

/** What the controller shows of a server, and what the server would show. */
function expectMirror(world: FaultWorld, serverId: number, node: FaultyNode): void {
  const { view } = world.house.fleet
  const rows = createRows(node.db(), box)
  const traffic = node
    .db()
    .prepare(
      `select c.id, coalesce(up - reset_up, 0) as up, coalesce(down - reset_down, 0) as down from clients c
       left join client_traffics t on t.client_id = c.id and t.server_id = 1 where c.server_id = 1 order by c.id`,
    )
    .all()
  const shown = view.clients(serverId, { page: 0, size: 100 }).items.toSorted((a, b) => a.id - b.id)
  expect(
    shown.map(({ serverId: _s, lastActiveAt: _l, up: _u, down: _d, ...row }) => row),
    `clients shown of server ${serverId}`,
  ).toEqual(rows.clients().map(({ changeSeq: _seq, ...row }) => row))
  expect(
    shown.map(({ id, up, down }) => ({ id, up, down })),
    `traffic shown of server ${serverId}`,
  ).toEqual(traffic)
  expect(
    view
      .inbounds(serverId)
      .map(({ serverId: _s, up: _u, down: _d, used: _b, clientCount: _c, ...row }) => row),
    `inbounds shown of server ${serverId}`,
  ).toEqual(rows.allInboundSettings().map(({ changeSeq: _seq, linkSecrets: _k, ...row }) => row))
}

/** Everything has come to rest: all agree. */
export function expectAgreement(world: FaultWorld): void {
  for (const [serverId, node] of world.nodes) {
    const there = holdingsAt(node)
    const model = retell(world, serverId, node)
    expect(there.rows, `rows of server ${serverId}`).toEqual(model)
    const open = model.inbounds
      .filter((row) => row.enabled)
      .map((row) => [`${row.tag}:${row.port}`, row.users])
    expect(there.xray, `the Xray of server ${serverId}`).toEqual(Object.fromEntries(open))
    expectMirror(world, serverId, node)
  }
  for (const { email, waiting } of world.house.fleet.view.people({ page: 0, size: 50 }).items)
    expect(
      waiting.map(({ name }) => name),
      `where ${email} is still awaited`,
    ).toEqual([])
  expect(world.errors).toEqual([])
}

/** Whoever is on a server is known to be there, or on the way, at every moment: a deletion everywhere misses nobody. */
export function expectNobodyForgotten(world: FaultWorld): void {
  const { view } = world.house.fleet
  const position = world.house.db.$client.prepare('select epoch from sync_states where server_id = ?').pluck()
  for (const [serverId, node] of world.nodes) {
    const followed = node.lifeOf((position.get(serverId) as string | undefined) ?? '')
    // What a copy put back has brought to life again is known at the next look.
    if (node.life() > 1 && followed !== node.life()) continue
    const emails = node
      .db()
      .prepare('select email from clients where server_id = 1')
      .pluck()
      .all() as string[]
    for (const email of emails) {
      const person = view.person(email)
      const known = [
        ...(person?.placements ?? []).map(({ server }) => server.id),
        ...(person?.waiting ?? []).map(({ id }) => id),
      ]
      expect(known, `where ${email} is`).toContain(serverId)
    }
  }
}

/** No file holds a credential that could be read. */
export function expectSecretsSealed(world: FaultWorld): void {
  const files = [world.house.bytesOnDisk(), ...[...world.nodes.values()].map((node) => node.db().serialize())]
  for (const secret of world.secrets)
    for (const file of files) expect(file.includes(secret), 'a credential in clear').toBe(false)
}
