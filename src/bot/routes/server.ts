import type { SystemStats } from '#src/contract/index.ts'
import { encodeTap } from '../callback-data.ts'
import { editScreen } from '../screens/server-edit.ts'
import { type Load, serverScreen, type ServerModel, usageScreen } from '../screens/server.ts'
import { nextStep } from '../next-step.ts'
import type { Services } from '../services.ts'
import type { Screen, StageContext } from '../types.ts'
import { persisting } from '../patience.ts'
import { type Reading, readFrom, showReading } from './reading.ts'

/** A server's load, as it says it is now. */
const stats: Parameters<typeof readFrom<SystemStats>>[2] = (connector, options) =>
  connector.system.stats(undefined, options)

const loadOf = (reading: Reading<SystemStats>): Load =>
  reading.state === 'known' ? { state: 'known', stats: reading.value } : reading

async function readLoad(s: Services, serverId: number): Promise<Load> {
  return loadOf(await readFrom(s, serverId, stats))
}

function serverModel(s: Services, serverId: number, load: Load): ServerModel {
  const { servers, view, tasks } = s.fleet
  return {
    server: servers.get(serverId),
    totals: view.serverTotals(serverId),
    next: nextStep(s.fleet, [serverId]),
    open: tasks.open(serverId).length,
    load,
    syncedAt: view.syncedAt(serverId),
    now: s.runtime.now(),
  }
}

function showWithLoad(
  s: Services,
  ctx: StageContext,
  serverId: number,
  address: string,
  screen: (model: ServerModel) => Screen,
): Promise<void> {
  return showReading(s, ctx, { serverId, address, read: stats }, (reading) =>
    screen(serverModel(s, serverId, loadOf(reading))),
  )
}

/** @throws FleetError SERVER_NOT_FOUND */
export function showServer(s: Services, ctx: StageContext, serverId: number): Promise<void> {
  const address = encodeTap('server', { server: serverId })
  return showWithLoad(s, ctx, serverId, address, (model) => serverScreen(model, ctx.t))
}

/** Draws a server's screen anew wherever somebody looks at it: its state has changed. */
export async function refreshServer(
  s: Services,
  stageOf: (key: string) => StageContext,
  serverId: number,
): Promise<void> {
  const address = encodeTap('server', { server: serverId })
  const looking = s.chats.showing(address).filter((chat) => chat.screen === address)
  if (looking.length === 0 || s.fleet.servers.find(serverId) === undefined) return
  const load = await readLoad(s, serverId)
  await Promise.all(
    looking.map(({ id }) =>
      persisting(s, async () => {
        if (s.fleet.servers.find(serverId) === undefined) return
        const ctx = stageOf(id)
        await s.live.refresh(ctx, serverScreen(serverModel(s, serverId, load), ctx.t), address)
      }),
    ),
  )
}

/** Draws a server's screen anew where one person looks, if they still look at it. @throws FleetError SERVER_NOT_FOUND */
export async function refreshHere(s: Services, ctx: StageContext, serverId: number): Promise<void> {
  const load = await readLoad(s, serverId)
  const screen = serverScreen(serverModel(s, serverId, load), ctx.t)
  await s.live.refresh(ctx, screen, encodeTap('server', { server: serverId }))
}

/** Beside the live message, which a wizard is using. @throws FleetError SERVER_NOT_FOUND */
export async function showServerAside(s: Services, ctx: StageContext, serverId: number): Promise<void> {
  const load = await readLoad(s, serverId)
  await s.live.aside(ctx, serverScreen(serverModel(s, serverId, load), ctx.t))
}

/** @throws FleetError SERVER_NOT_FOUND */
export function showEdit(s: Services, ctx: StageContext, server: number): Promise<void> {
  const screen = editScreen({ server: s.fleet.servers.get(server) }, ctx.t)
  return s.live.show(ctx, screen, encodeTap('editServer', { server }))
}

/** @throws FleetError SERVER_NOT_FOUND */
export function showUsage(s: Services, ctx: StageContext, serverId: number): Promise<void> {
  const address = encodeTap('usage', { server: serverId })
  return showWithLoad(s, ctx, serverId, address, (model) => usageScreen(model, ctx.t))
}
