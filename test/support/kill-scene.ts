/** A fleet to be killed at every point: how it is changed through the chat, and everything that tells what it holds. */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { encodeTap } from '#src/bot/callback-data.ts'
import { type ClientInput, clientInput } from '#src/contract/index.ts'
import type { TaskRow } from '#src/fleet/journal.ts'
import { addsInboundEverywhere, asksForClientEverywhere, asksForInboundEverywhere, joins } from './chat.ts'
import type { FaultyCommand } from './faulty-program.ts'
import { type ServerState, addTraffic, after, reading, servedBy, stateOf, xrayState } from './fleet-model.ts'
import type { Machine, World } from './world.ts'

export const operations = [
  'inbounds.add',
  'inbounds.update',
  'inbounds.delete',
  'clients.add',
  'clients.update',
  'clients.resetTraffic',
  'clients.delete',
  'xray.restart',
] as const
export type Operation = (typeof operations)[number]

/** ms. Two starts of a process and a back-off of some seconds, on a busy machine. */
export const QUIET_MS = 40_000
export const LOCAL = 1
export const AGENT = 2
export const steady: ClientInput = clientInput.parse({
  email: 'steady',
  uuid: '7d1c3a52-0c62-4a55-9d1b-0c6c53b2f9aa',
  subscriptionId: 'steady-subscription',
  flow: '',
})

export type Scene = Awaited<ReturnType<typeof createScene>>

/** A controller with one agent in a world of faulty programs, the model of both servers, and everything needed to kill, look and compare. */
export async function createScene(world: World) {
  const { alice } = world
  await world.startController()
  const agent = await joins(world, 'de-1')
  const machines: Record<number, Machine> = { [LOCAL]: world.controller, [AGENT]: agent }
  const model: Record<number, ServerState> = {
    [LOCAL]: { inbounds: {}, clients: {} },
    [AGENT]: { inbounds: {}, clients: {} },
  }
  let asked = 0

  const machineOf = (server: number): Machine => machines[server] ?? world.controller
  const modelOf = (server: number): ServerState => model[server] ?? { inbounds: {}, clients: {} }
  const files = (server: number): [string, string] => {
    const { dir } = machineOf(server)
    return [join(dir, server === LOCAL ? 'fleetgram.db' : 'agent.db'), join(dir, 'fleetgram.key')]
  }

  /** Asks a faulty program, and waits for its answer. */
  async function ask<T>(
    machine: Machine,
    command: FaultyCommand extends infer C ? (C extends unknown ? Omit<C, 'n'> : never) : never,
  ): Promise<T> {
    const n = ++asked
    machine.program.tells(JSON.stringify({ ...command, n }))
    const line = await machine.program.says(new RegExp(`^@${n} `))
    return JSON.parse(line.slice(line.indexOf(' ') + 1)) as T
  }

  const look = (server: number) =>
    ask<{ inbounds: Parameters<typeof stateOf>[0]; clients: Parameters<typeof stateOf>[1] }>(
      world.controller,
      { do: 'look', server },
    )
  const idOf = async (server: number, tag: string): Promise<number> =>
    (await look(server)).inbounds.find((inbound) => inbound.tag === tag)?.id ?? 0

  const journal = <R>(read: (rows: { all: TaskRow[]; input: (task: TaskRow) => unknown }) => R): R =>
    reading(...files(LOCAL), (opened) => {
      const own = opened.journal()
      const ids = opened.db.prepare('select id from server_tasks order by seq').pluck().all() as string[]
      return read({ all: ids.flatMap((id) => own.get(id) ?? []), input: (task) => own.input(task) })
    })
  const isOpen = ({ status }: TaskRow): boolean => status === 'pending' || status === 'running'

  const run = (operation: Operation, inputs: Record<number, unknown>): Promise<string> =>
    ask(world.controller, {
      do: 'run',
      operation,
      targets: Object.entries(inputs).map(([server, input]) => ({
        serverId: Number(server),
        input: input as never,
      })),
    })

  async function until(what: string, look: () => boolean | Promise<boolean>, ms = QUIET_MS): Promise<void> {
    const giveUpAt = Date.now() + ms
    while (!(await look())) {
      if (Date.now() > giveUpAt) throw new Error(`${what}: not within ${ms} ms`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  const quiet = (): Promise<void> =>
    until('no task is open', () => journal(({ all }) => !all.some((task) => isOpen(task))))

  /** Everything that tells what a server holds, beside what it should hold. */
  async function views(server: number): Promise<Record<string, unknown>> {
    const expected = modelOf(server)
    const { inbounds, clients } = await look(server)
    return {
      'rows of the node': [reading(...files(server), (opened) => opened.nodeState()), expected],
      'what the controller shows': [stateOf(inbounds, clients), expected],
      Xray: [await xrayState(join(machineOf(server).dir, 'xray')), servedBy(expected)],
    }
  }

  /** @throws with the first view that differs from the model, once there was time enough for all to agree */
  async function agrees(): Promise<void> {
    const differing = async (): Promise<string | undefined> => {
      for (const server of [LOCAL, AGENT]) {
        for (const [what, pair] of Object.entries(await views(server))) {
          const [actual, expected] = pair as [unknown, unknown]
          if (isDeepStrictEqual(actual, expected)) continue
          return `server ${server}, ${what}:\n${JSON.stringify(actual)}\nis not\n${JSON.stringify(expected)}`
        }
      }
      return undefined
    }
    let last: string | undefined
    await until('all views agree', async () => (last = await differing()) === undefined, 15_000).catch(() => {
      throw new Error(last)
    })
  }

  /** The model as the rows are, so that one broken cell does not break those after it. */
  function forgive(): void {
    for (const server of [LOCAL, AGENT])
      model[server] = reading(...files(server), (opened) => opened.nodeState())
  }

  const xrays = async (): Promise<string[]> =>
    Promise.all(
      [LOCAL, AGENT].map((server) =>
        machineOf(server)
          .xray()
          .catch(() => 'none'),
      ),
    )
  const starts = (server: number): number =>
    machineOf(server).program.output().split('"msg":"Xray started"').length - 1

  /** Traffic to be reset, as the accounting would have counted it. */
  const countTraffic = (server: number, email: string): void => addTraffic(files(server)[0], email)
  const unreset = (server: number, email: string): number =>
    reading(...files(server), (opened) => opened.unreset(email))

  /** Comes to the last tap of a change; the returned function does it. */
  async function prepare(
    operation: Operation,
    { name, server, port }: { name: string; server: number; port: number },
  ): Promise<() => Promise<unknown>> {
    const tap = (data: string): Promise<unknown> => alice.tapsData(alice.screen().messageId, data)
    const clientAt = async (): Promise<{ server: number; client: number }> => {
      const found = (await look(LOCAL)).clients.find(({ email }) => email === name)
      return { server: LOCAL, client: found?.id ?? 0 }
    }
    switch (operation) {
      case 'inbounds.add':
        await asksForInboundEverywhere(alice, { tag: name, port })
        return () => alice.taps('Create')
      case 'inbounds.update':
        await tap(encodeTap('disableInbound', { server, inbound: await idOf(server, name) }))
        await alice.seesScreen(`Disable ${name} on`)
        return () => alice.taps('Disable')
      case 'inbounds.delete':
        await tap(encodeTap('deleteInbound', { server, inbound: await idOf(server, name) }))
        await alice.seesScreen(`Delete ${name} on`)
        return () => alice.taps('Delete')
      case 'clients.add':
        await asksForClientEverywhere(alice, name)
        return () => alice.taps('Create')
      case 'clients.update':
        await tap(encodeTap('disableClient', await clientAt()))
        await alice.seesScreen(`Disable ${name}?`)
        return () => alice.taps('Disable')
      case 'clients.delete':
        await tap(encodeTap('deleteClient', await clientAt()))
        await alice.seesScreen(`Delete ${name} everywhere?`)
        return () => alice.taps('Delete')
      case 'xray.restart':
        await tap(encodeTap('restart', { server: 0 }))
        await alice.seesScreen('Restart Xray on')
        return () => alice.taps('Restart Xray')
      case 'clients.resetTraffic':
        countTraffic(LOCAL, name)
        countTraffic(AGENT, name)
        return () => run(operation, { [LOCAL]: { email: name }, [AGENT]: { email: name } }).catch(() => 0)
    }
  }

  /** From now on the model says that this was carried out. @param uuid of the client it adds, where it has secrets */
  function expectDone(server: number, operation: string, input: unknown, uuid?: string): void {
    model[server] = after(modelOf(server), { operation, input: input ?? {} }, uuid)
  }

  /** A change without a kill. @throws when it has not come to what the model says */
  async function plain(operation: Operation, inputs: Record<number, unknown>): Promise<void> {
    await run(operation, inputs)
    await quiet()
    for (const [server, input] of Object.entries(inputs)) expectDone(Number(server), operation, input)
    await agrees()
  }

  // One inbound that every client joins, with somebody in it.
  await addsInboundEverywhere(alice, { tag: 'main', port: 20_000 })
  await alice.sees('Done on 2 of 2.')
  for (const server of [LOCAL, AGENT])
    model[server] = after(modelOf(server), {
      operation: 'inbounds.add',
      input: { tag: 'main', port: 20_000 },
    })
  await plain('clients.add', {
    [LOCAL]: { id: 'main', clients: [steady] },
    [AGENT]: { id: 'main', clients: [steady] },
  })

  return {
    world,
    alice,
    agent,
    ask,
    run,
    prepare,
    plain,
    expectDone,
    countTraffic,
    unreset,
    journal,
    until,
    quiet,
    agrees,
    forgive,
    xrays,
    starts,
  }
}
