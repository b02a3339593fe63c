/** Changes that meet: on one client, on all servers at once, on a server that is removed, or that has lost its memory. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { OperationInput, OperationName } from '#src/contract/index.ts'
import type { Batch, TaskView } from '#src/fleet/types.ts'
import { expectAgreement } from '#test/support/agreement.ts'
import { type FaultWorld, openFaultWorld } from '#test/support/fault-world.ts'
import type { FaultyNode } from '#test/support/faulty-node.ts'
import { alice } from '#test/support/fleet-house.ts'

let world: FaultWorld
let ids: number[]
beforeEach(async () => {
  world = await openFaultWorld()
  ids = [...world.nodes.keys()]
  await done(run('inbounds.add', { tag: 'main', port: 443, protocol: 'vless', stream: plain }))
})
afterEach(() => world.end())

const plain = { transport: { type: 'raw' }, security: { type: 'none' } } as const
const bob = { actor: { ...alice, id: '8' } }
const fleet = () => world.house.fleet

type PerServer<T> = (serverId: number) => T
const isPerServer = <T>(input: T | PerServer<T>): input is PerServer<T> => typeof input === 'function'

/** One change, asked for on some or all servers, and kept for the comparison at the end. */
async function run<N extends OperationName>(
  operation: N,
  input: OperationInput<N> | PerServer<OperationInput<N>>,
  options: { servers?: number[]; id?: string; actor?: typeof alice } = {},
): Promise<Batch> {
  const { servers = ids, actor = alice, id } = options
  const targets = servers.map((serverId) => ({
    serverId,
    input: isPerServer(input) ? input(serverId) : input,
  }))
  const batch = await fleet().tasks.run({ operation, targets, actor, ...(id === undefined ? {} : { id }) })
  world.batches.set(batch.id, {
    operation,
    inputs: new Map(targets.map((target) => [target.serverId, target.input])),
  })
  return batch
}

/** What became of it. */
async function done(batch: Promise<Batch>): Promise<string[]> {
  return words(await (await batch).settled)
}

const words = (tasks: TaskView[]): string[] => tasks.map(({ status, error }) => error?.code ?? status)
const later = (batch: Batch): string[] => words(fleet().tasks.batch(batch.id))
const add = (email: string, options: { servers?: number[]; id?: string } = {}) =>
  run('clients.add', { id: 'main', clients: [fleet().newClient(email)] }, options)

function nodeOf(id: number | undefined): FaultyNode {
  const node = world.nodes.get(id ?? 0)
  if (node === undefined) throw new Error(`there is no server ${id}`)
  return node
}
const emailsOn = (id: number | undefined) =>
  nodeOf(id).db().prepare('select email from clients where server_id = 1 order by email').pluck().all()
const versionOn = (id: number) => fleet().view.clientByEmail(id, 'anna')?.rowVersion ?? 0
const disabledOn = () => ids.map((id) => fleet().view.clientByEmail(id, 'anna')?.enabled === false)

async function rests(): Promise<void> {
  await world.recover()
  expect(ids.flatMap((id) => (fleet().servers.find(id) ? fleet().tasks.open(id) : []))).toEqual([])
}

describe('two admins', () => {
  test('edit what both have on their screen: the first is done, the second is told to look again', async () => {
    await done(add('anna'))
    const seen = new Map(ids.map((id) => [id, versionOn(id)]))
    const edit = (comment: string) => (id: number) => ({
      email: 'anna',
      comment,
      rowVersion: seen.get(id) ?? 0,
    })
    const first = run('clients.update', edit('from alice'))
    const second = run('clients.update', edit('from bob'), bob)
    expect(await done(first)).toEqual(['applied', 'applied', 'applied'])
    expect(await done(second)).toEqual(Array(3).fill('STALE_ROW_VERSION'))
    expect(ids.map((id) => fleet().view.clientByEmail(id, 'anna')?.comment)).toEqual(
      Array(3).fill('from alice'),
    )

    // Trying again means the same screen, so it is refused again; looking again is what helps.
    const [refused] = fleet().tasks.batch((await second).id)
    const again = await fleet().tasks.retryFailed(refused?.batch ?? '', alice)
    expect(words(await again.settled)).toEqual(Array(3).fill('STALE_ROW_VERSION'))
    world.batches.set(again.id, {
      operation: 'clients.update',
      inputs: new Map(ids.map((id) => [id, edit('from bob')(id)])),
    })
    const looked = run('clients.update', (id) => ({
      email: 'anna',
      comment: 'from bob',
      rowVersion: versionOn(id),
    }))
    expect(await done(looked)).toEqual(Array(3).fill('applied'))
    await rests()
    expectAgreement(world)
  })

  test('the answer to the first is lost: its repetition is no second edit, and the other stays refused', async () => {
    await done(add('anna'))
    for (const node of world.nodes.values()) node.faults = ['answer lost']
    const rowVersion = versionOn(ids[0] ?? 0)
    const first = await run('clients.update', { email: 'anna', enabled: false, rowVersion })
    const second = await run('clients.update', { email: 'anna', enabled: true, rowVersion }, bob)
    await rests()
    expect(later(first)).toEqual(Array(3).fill('applied'))
    expect(later(second)).toEqual(Array(3).fill('STALE_ROW_VERSION'))
    expect(disabledOn()).toEqual([true, true, true])
    expectAgreement(world)
  })

  test('change all servers at once, crossing each other: every server follows the one order of the journal', async () => {
    await done(add('anna'))
    const [slow, lost, away] = ids.map(nodeOf)
    if (slow) slow.faults = ['slow', 'answer slow']
    if (lost) lost.faults = ['request late', 'answer lost', 'request lost']
    if (away) away.offline = true
    const crossing = [false, true, false, true, false].map((enabled, turn) =>
      run('clients.update', { email: 'anna', enabled, comment: `${turn}` }, turn % 2 ? bob : {}),
    )
    await Promise.all(crossing)
    // What was held up arrives in the middle of later ones, and must not undo them.
    await world.house.runtime.advance(30_000)
    await lost?.deliverLate()
    await rests()
    for (const batch of crossing) expect(later(await batch)).toEqual(Array(3).fill('applied'))
    expect(disabledOn()).toEqual([true, true, true])
    expect(ids.map((id) => fleet().view.clientByEmail(id, 'anna')?.comment)).toEqual(['4', '4', '4'])
    expectAgreement(world)
  })
})

describe('the same tap', () => {
  test('twice, and from two devices at once, starts one change', async () => {
    const client = fleet().newClient('anna')
    const tap = () => run('clients.add', { id: 'main', clients: [client] }, { id: 'tap 1' })
    const [first, second] = await Promise.all([tap(), tap()])
    expect(second.tasks.map(({ id }) => id)).toEqual(first.tasks.map(({ id }) => id))
    await rests()
    expect(later(first)).toEqual(Array(3).fill('applied'))
    expectAgreement(world)
  })

  test('once more, after a restart and with a server gone meanwhile, shows what became of the first', async () => {
    const client = fleet().newClient('anna')
    const tap = () => run('clients.add', { id: 'main', clients: [client] }, { id: 'tap 1' })
    expect(await done(tap())).toEqual(Array(3).fill('applied'))
    fleet().servers.remove(ids[2] ?? 0, alice)
    await world.house.restart('kill')
    expect(words((await tap()).tasks)).toEqual(Array(3).fill('applied'))
  })
})

describe('a server that is removed', () => {
  test('with changes pending: they are cancelled and told so, and the others have theirs', async () => {
    const gone = ids[2] ?? 0
    nodeOf(gone).offline = true
    const told: string[][] = []
    const batch = await add('anna')
    fleet().tasks.watch(batch.id, (tasks) => told.push(words(tasks)))
    expect(words(await batch.settled)).toEqual(['applied', 'applied', 'SERVER_UNREACHABLE'])
    expect(
      fleet()
        .view.person('anna')
        ?.waiting.map(({ id }) => id),
    ).toEqual([gone])
    fleet().servers.remove(gone, alice)
    expect(told.at(-1)).toEqual(['applied', 'applied', 'cancelled'])
    expect(fleet().view.person('anna')).toMatchObject({ waiting: [], placements: [{}, {}] })

    // It comes back to life, and is spoken to no more; the last word stays.
    nodeOf(gone).offline = false
    await world.house.restart('kill')
    await world.house.runtime.advance(120_000)
    expect(later(batch)).toEqual(['applied', 'applied', 'cancelled'])
    expect(emailsOn(gone)).toEqual([])
  })
})

describe('a server that comes back', () => {
  test('with an older database: what is pending is done once, what it has lost is not claimed', async () => {
    const [id = 0, ...others] = ids
    await done(add('anna'))
    const copy = nodeOf(id).backup()
    await done(add('cleo'))
    nodeOf(id).kill()
    // As many changes are waiting as were lost, so that its count of changes ends where it was before.
    const waiting = await add('dora')
    nodeOf(id).restore(copy)
    await nodeOf(id).start()
    // Before health has looked at it again.
    await world.house.runtime.advance(60_000)
    await rests()
    expect(later(waiting)).toEqual(Array(3).fill('applied'))
    expect(emailsOn(id)).toEqual(['anna', 'dora'])
    // The mirror shows the truth: cleo is where she still is.
    const shown = (server: number) =>
      fleet()
        .view.clients(server, { page: 0, size: 9 })
        .items.map(({ email }) => email)
    expect(shown(id)).toEqual(['anna', 'dora'])
    expect(
      fleet()
        .view.person('cleo')
        ?.placements.map(({ server }) => server.id),
    ).toEqual(others)
    expectAgreement(world)
  })

  test('with an empty one: it is shown as empty, and can be filled again', async () => {
    const [id = 0] = ids
    await done(add('anna'))
    nodeOf(id).kill()
    nodeOf(id).restore()
    await nodeOf(id).start()
    const refused = await add('cleo', { servers: [id] })
    await rests()
    expect(later(refused)).toEqual(['INBOUND_NOT_FOUND'])
    expect(fleet().view.inbounds(id)).toEqual([])
    expect(fleet().view.person('anna')?.placements).toHaveLength(2)
    const main = { tag: 'main', port: 443, protocol: 'vless', stream: plain } as const
    expect(await done(run('inbounds.add', main, { servers: [id] }))).toEqual(['applied'])
    const person = fleet().view.person('anna')?.placements[0]?.client
    const { email = '', uuid = '', subscriptionId = '' } = person ?? {}
    const same = { id: 'main', clients: [{ email, uuid, subscriptionId }] }
    expect(await done(run('clients.add', same, { servers: [id] }))).toEqual(['applied'])
    expect(
      new Set(
        fleet()
          .view.person('anna')
          ?.placements.map(({ client }) => client.uuid),
      ).size,
    ).toBe(1)
  })
})

describe('a client', () => {
  test('deleted everywhere while it is still on its way somewhere does not come to life there', async () => {
    const [, , far = 0] = ids
    nodeOf(far).offline = true
    await done(add('anna'))
    const person = fleet().view.person('anna')
    const everywhere = [
      ...(person?.placements ?? []).map(({ server }) => server.id),
      ...(person?.waiting ?? []).map(({ id }) => id),
    ]
    expect(everywhere.toSorted((a, b) => a - b)).toEqual(ids)
    const gone = await run('clients.delete', { email: 'anna' }, { servers: everywhere })
    await rests()
    expect(later(gone)).toEqual(Array(3).fill('applied'))
    expect(ids.flatMap(emailsOn)).toEqual([])
    expect(fleet().view.person('anna')).toBeUndefined()
    expectAgreement(world)
  })

  test.each(['stop', 'kill'] as const)(
    'whose server has answered and then gone, unseen, is known to be there, also after a %s',
    async (how) => {
      const [id = 0] = ids
      const node = nodeOf(id)
      node.faults = ['answer slow']
      const batch = await add('anna', { servers: [id] })
      await vi.waitFor(() => expect(emailsOn(id)).toEqual(['anna']))
      node.offline = true
      // The answer was on its way already; nobody can look at the server after it.
      await world.house.runtime.advance(20_000)
      await vi.waitFor(() => expect(later(batch)).toEqual(['applied']))
      const where = () => {
        const { placements = [], waiting = [] } = fleet().view.person('anna') ?? {}
        return [...placements.map(({ server }) => server.id), ...waiting.map((server) => server.id)]
      }
      await world.house.runtime.advance(60_000)
      expect(where()).toEqual([id])
      await world.house.restart(how)
      expect(where()).toEqual([id])
      await rests()
      expect(fleet().view.person('anna')).toMatchObject({ waiting: [], placements: [{}] })
    },
  )

  test('added while its inbound is being deleted is there or refused, as the journal has it', async () => {
    const [first, second, third] = ids
    const before = await add('anna')
    const gone = await run('inbounds.delete', { id: 'main' }, { servers: [first ?? 0, second ?? 0] })
    const after = await add('cleo')
    await rests()
    expect(later(before)).toEqual(Array(3).fill('applied'))
    expect(later(gone)).toEqual(['applied', 'applied'])
    expect(later(after)).toEqual(['INBOUND_NOT_FOUND', 'INBOUND_NOT_FOUND', 'applied'])
    // The one who stood in it stays, without a place.
    expect(fleet().view.clientByEmail(first ?? 0, 'anna')?.inbounds).toEqual([])
    expect(emailsOn(third)).toEqual(['anna', 'cleo'])
    expectAgreement(world)
  })
})

test('a request that was held up cannot be carried out once it was refused', async () => {
  const [id = 0] = ids
  const node = nodeOf(id)
  node.faults = ['request late']
  const client = fleet().newClient('anna')
  const refused = await run('clients.add', { id: 'second', clients: [client] }, { servers: [id] })
  await world.house.runtime.advance(5_000)
  await vi.waitFor(() => expect(later(refused)).toEqual(['INBOUND_NOT_FOUND']))
  await done(
    run('inbounds.add', { tag: 'second', port: 444, protocol: 'vless', stream: plain }, { servers: [id] }),
  )
  await node.deliverLate()
  expect(emailsOn(id)).toEqual([])
  await rests()
  expectAgreement(world)
})
