/**
 * SIGKILL at every named point of a change, for every kind of change, on the controller and on an agent. After each the
 * killed process starts again, and when all is quiet the journal, both databases, the running Xray, the mirror and the
 * chat must agree with a model of what the journal says was done.
 */
import { afterAll, expect, test } from 'vitest'
import { encodeTap } from '#src/bot/callback-data.ts'
import type { ClientInput } from '#src/contract/index.ts'
import { type FaultPoint, faultPoints } from '#src/faults.ts'
import { linksIn } from '#test/support/chat.ts'
import {
  AGENT,
  LOCAL,
  type Operation,
  QUIET_MS,
  type Scene,
  createScene,
  operations,
  steady,
} from '#test/support/kill-scene.ts'
import { type Machine, type World, createWorld } from '#test/support/world.ts'

/** In the chat these name one server; all others go to every server at once. */
const ofOneServer: readonly Operation[] = ['inbounds.update', 'inbounds.delete']
/** It has no button, so no tap is confirmed and no message tells of it. */
const withoutButton = 'clients.resetTraffic'

/** Points at which the controller stands with a change for any server. */
const onController: FaultPoint[] = ['task committed', 'sent', 'recorded', 'chat told', 'update confirmed']
/** Points of a node: that of the controller's own machine, and an agent's. */
const onNode: FaultPoint[] = ['applying committed', 'hot-applied', 'result committed']
const onAgent: FaultPoint[] = ['received', ...onNode, 'answered']

interface At {
  point: FaultPoint
  where: 'controller' | 'own node' | 'agent'
  victim: Machine
  /** The inbound or client it is about. */
  name: string
  /** Where a change goes that names one server. */
  server: number
  port: number
}

/** `point · where` -> operation -> ✓, — or ✗ */
const table = new Map<string, Map<Operation, string>>()
const lineOf = ({ point, where }: Pick<At, 'point' | 'where'>): string => `${point} · ${where}`

function mark(line: string, operation: Operation, sign: string): void {
  const cells = table.get(line) ?? new Map<Operation, string>()
  table.set(line, cells)
  // A cell run for both servers is as good as the worse of them.
  if (cells.get(operation) !== '✗') cells.set(operation, sign)
}

/** The change, the kill, the start, and everything compared. */
async function cell(scene: Scene, operation: Operation, at: At): Promise<void> {
  const { world, alice, journal, xrays, starts, until } = scene
  const { point, victim, name } = at
  const [xraysBefore, startsBefore] = [await xrays(), [LOCAL, AGENT].map(starts)]
  const known = journal(({ all }) => all.length)
  const act = await scene.prepare(operation, at)
  await scene.ask(victim, { do: 'killAt', point, operation })
  await act()
  await victim.program.ends(20_000)

  // While the task is open its secrets are with it: these, and no others, must be everywhere in the end.
  const uuids = journal(({ all, input }) =>
    all.slice(known).map((task) => (input(task) as { clients?: ClientInput[] } | null)?.clients?.[0]?.uuid),
  )
  const xraysAtDeath = await xrays()
  victim.program.start()
  await victim.program.says(victim === world.controller ? /fleetgram is ready/ : /the agent is ready/, 60_000)
  await until('the task is in the journal', () => journal(({ all }) => all.length > known))
  await scene.quiet()

  const tasks = journal(({ all }) => all.slice(known))
  const targets = ofOneServer.includes(operation) ? [at.server] : [LOCAL, AGENT]
  expect(tasks.map((task) => [task.operation, task.serverId, task.status, task.error])).toEqual(
    targets.map((server) => [operation, server, 'applied', null]),
  )

  const batch = tasks[0]?.batch ?? ''
  if (operation === withoutButton)
    await alice.tapsData(alice.screen().messageId, encodeTap('batch', { batch }))
  const words = ['✅', tasks.length === 1 ? 'Done.' : `Done on ${tasks.length} of ${tasks.length}.`]
  if (operation === 'xray.restart') words.push('Xray is restarted')
  else if (operation !== withoutButton) words.push(name)
  const shown = await alice.sees(({ text }) => words.every((word) => text.includes(word)), {
    timeoutMs: QUIET_MS,
  })
  expect(shown.text).not.toMatch(/⏳|❌/)

  const told = linksIn(shown).map((link) => new URL(link).username)
  const [uuid = told[0] ?? ''] = uuids.filter((one) => one !== undefined)
  if (operation === 'clients.add') expect([...told, uuid]).toEqual([uuid, uuid, uuid])
  for (const { serverId, input } of tasks) scene.expectDone(serverId, operation, input, uuid)
  await scene.agrees()
  if (operation === 'clients.resetTraffic')
    expect([LOCAL, AGENT].map((server) => scene.unreset(server, name))).toEqual([0, 0])

  const [xraysAfter, startsAfter] = [await xrays(), [LOCAL, AGENT].map(starts)]
  const lives = [0, 1].map((i) => {
    const seen = [xraysBefore[i], xraysAtDeath[i], xraysAfter[i]].filter((life) => life !== 'none')
    return new Set(seen).size - 1
  })
  const wanted = operation === 'xray.restart' ? 1 : 0
  expect(lives).toEqual([wanted, wanted])
  // A start may be cut off before it is logged; one too many would be logged.
  for (const [i, count] of startsAfter.entries())
    expect(count - (startsBefore[i] ?? 0)).toBeLessThanOrEqual(wanted)
}

/** Runs parts one after another; one that breaks is told by name and does not break those after it. */
function createRun(scene: Scene) {
  const failures: string[] = []

  async function attempt(name: string, victim: Machine, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      failures.push(name)
      const { actual, expected } = error as { actual?: unknown; expected?: unknown }
      const compared = JSON.stringify({ actual, expected })
      console.error(`${name}: ${String(error)}\n${compared}\n${victim.program.output().slice(-1_500)}`)
      if (!victim.program.running) victim.program.start()
      await scene.quiet().catch(() => undefined)
      scene.forgive()
      return false
    }
  }

  return {
    failures,
    attempt,
    async cell(operation: Operation, at: At): Promise<void> {
      const name = `${lineOf(at)} × ${operation} (${at.name}, server ${at.server})`
      const isGood = await attempt(name, at.victim, () => cell(scene, operation, at))
      mark(lineOf(at), operation, isGood ? '✓' : '✗')
    },
  }
}

type Run = ReturnType<typeof createRun>

/** Every operation at one point, in the order in which an inbound and a client live. */
async function throughTheirLives(
  scene: Scene,
  run: Run,
  at: Pick<At, 'point' | 'where' | 'victim' | 'port'>,
): Promise<void> {
  const [inbound, client] = [`in-${at.port}`, `client-${at.port}`]
  const [killed, other] = at.where === 'agent' ? [AGENT, LOCAL] : [LOCAL, AGENT]
  const plain = (operation: Operation, inputs: Record<number, unknown>): Promise<boolean> =>
    run.attempt(`${lineOf(at)}: ${operation} without a kill`, at.victim, () => scene.plain(operation, inputs))

  await run.cell('inbounds.add', { ...at, name: inbound, server: killed })
  // Somebody stands in it, and must keep everything else when it goes.
  const joining = { id: inbound, clients: [steady] }
  await plain('clients.add', { [LOCAL]: joining, [AGENT]: joining })
  for (const operation of ofOneServer) {
    await run.cell(operation, { ...at, name: inbound, server: killed })
    if (at.where === 'controller') await run.cell(operation, { ...at, name: inbound, server: other })
    else
      await plain(operation, {
        [other]: { id: inbound, ...(operation === 'inbounds.update' ? { enabled: false } : {}) },
      })
  }
  for (const operation of operations.filter((name) => name.startsWith('clients.'))) {
    if (operation === withoutButton && (at.point === 'chat told' || at.point === 'update confirmed'))
      mark(lineOf(at), operation, '—')
    else await run.cell(operation, { ...at, name: client, server: killed })
  }
  await run.cell('xray.restart', { ...at, name: 'Xray', server: killed })
}

/** An agent is away, changes wait for it, and the controller is killed when the alert of it has left. */
async function whileAnAlertLeaves(scene: Scene): Promise<void> {
  const { world, agent, journal, alice } = scene
  const there = (tag: string, port: number) => ({
    tag,
    port,
    protocol: 'vless',
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
  })
  const person = (email: string, digit: number): ClientInput => ({
    ...steady,
    email,
    uuid: steady.uuid.replace(/^./, String(digit)),
    subscriptionId: `subscription-of-${email}`,
  })
  for (const [tag, port] of [['off', 23_000] as const, ['gone', 23_001] as const])
    await scene.plain('inbounds.add', { [AGENT]: there(tag, port) })
  await scene.plain('clients.add', {
    [AGENT]: { id: 'off', clients: [person('olga', 1), person('oskar', 2)] },
  })
  scene.countTraffic(AGENT, 'olga')
  const [xraysBefore, known] = [await scene.xrays(), journal(({ all }) => all.length)]

  const changes: [Operation, unknown][] = [
    ['inbounds.add', there('new', 23_002)],
    ['inbounds.update', { id: 'off', enabled: false }],
    ['inbounds.delete', { id: 'gone' }],
    ['clients.add', { id: 'new', clients: [person('otto', 3)] }],
    ['clients.update', { email: 'olga', enabled: false }],
    ['clients.resetTraffic', { email: 'olga' }],
    ['clients.delete', { email: 'oskar' }],
    ['xray.restart', {}],
  ]
  await agent.program.kill()
  for (const [operation, input] of changes) await scene.run(operation, { [AGENT]: input })
  await scene.ask(world.controller, { do: 'killAt', point: 'outbox sent' })
  await world.controller.program.ends(90_000)
  await world.startController()
  agent.program.start()
  await agent.program.says(/the agent is ready/, 60_000)
  await scene.quiet()

  const tasks = journal(({ all }) => all.slice(known))
  expect(tasks.map(({ operation, status, error }) => [operation, status, error?.code])).toEqual(
    changes.map(([operation]) =>
      // A command for a moment that has passed is told as such, and nothing is restarted.
      operation === 'xray.restart'
        ? [operation, 'failed', 'SERVER_UNREACHABLE']
        : [operation, 'applied', undefined],
    ),
  )
  for (const [operation, input] of changes) scene.expectDone(AGENT, operation, input)
  await scene.agrees()
  expect(scene.unreset(AGENT, 'olga')).toBe(0)
  expect(await scene.xrays()).toEqual(xraysBefore)

  // Whether the message had arrived the new process cannot know: said twice is better than never.
  await alice.sees('de-1 is back', { timeoutMs: QUIET_MS })
  const alerts = alice.notifications().filter(({ text }) => text.includes('de-1 is'))
  expect(alerts.map(({ text }) => /is (offline|back)/.exec(text)?.[1])).toEqual([
    'offline',
    'offline',
    'back',
  ])
}

const worlds: World[] = []

/** Ended with the tests, however far they come. */
async function newWorld(): Promise<World> {
  const world = await createWorld({ healthIntervalSeconds: 1, faulty: true })
  worlds.push(world)
  return world
}

afterAll(async () => {
  await Promise.all(worlds.map((world) => world.stop()))
  console.log(drawn())
}, 60_000)

/** The matrix as one table. */
function drawn(): string {
  const width = Math.max(...[...table.keys()].map((line) => line.length)) + 2
  const row = (first: string, of: (name: Operation) => string): string =>
    first.padEnd(width) + operations.map((name) => of(name).padEnd(name.length + 2)).join('')
  const lines = faultPoints.flatMap((point) =>
    [...table]
      .filter(([line]) => line.startsWith(`${point} ·`))
      .map(([line, cells]) => row(line, (name) => cells.get(name) ?? '·')),
  )
  return ['SIGKILL at each point of each change', row('', (name) => name), ...lines].join('\n')
}

const LIMIT_MS = 600_000

test.concurrent(
  'the controller is killed at every point of every change',
  async () => {
    const scene = await createScene(await newWorld())
    const run = createRun(scene)
    const { controller: victim } = scene.world
    for (const [index, point] of [...onController, ...onNode].entries()) {
      const where = onNode.includes(point) ? 'own node' : 'controller'
      await throughTheirLives(scene, run, { point, where, victim, port: 21_000 + index })
    }
    const at = { point: 'outbox sent', where: 'controller' } as const
    const isGood = await run.attempt(lineOf(at), victim, () => whileAnAlertLeaves(scene))
    for (const operation of operations) mark(lineOf(at), operation, isGood ? '✓' : '✗')
    expect(run.failures).toEqual([])
  },
  LIMIT_MS,
)

test.concurrent(
  'an agent is killed at every point of every change',
  async () => {
    const scene = await createScene(await newWorld())
    const run = createRun(scene)
    for (const [index, point] of onAgent.entries())
      await throughTheirLives(scene, run, {
        point,
        where: 'agent',
        victim: scene.agent,
        port: 22_000 + index,
      })
    expect(run.failures).toEqual([])
  },
  LIMIT_MS,
)
