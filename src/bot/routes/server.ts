import { encodeTap } from '../callback-data.ts'
import { type Load, serverScreen, type ServerModel, usageScreen } from '../screens/server.ts'
import type { Services } from '../services.ts'
import type { Screen, StageContext } from '../types.ts'
import { safeFields } from '../api-errors.ts'
import { persisting } from '../patience.ts'

/** A server that does not answer by then is not reachable now. */
const PATIENCE_MS = 3_000
/** Most servers answer in this time: then the screen is drawn once. */
const AT_ONCE_MS = 300

async function readLoad(s: Services, serverId: number): Promise<Load> {
  const { enabled, status } = s.fleet.servers.get(serverId)
  if (!enabled || status === 'pending') return { state: 'unreachable' }
  const done = new AbortController()
  const late = s.runtime.sleep(PATIENCE_MS, AbortSignal.any([done.signal, s.signal])).then(
    () => 'late' as const,
    () => 'late' as const,
  )
  try {
    const signal = AbortSignal.any([done.signal, s.signal])
    const answer = await Promise.race([
      s.fleet.connectorFor(serverId).system.stats(undefined, { signal }),
      late,
    ])
    return answer === 'late' ? { state: 'unreachable' } : { state: 'known', stats: answer }
  } catch {
    return { state: 'unreachable' }
  } finally {
    done.abort()
  }
}

function serverModel(s: Services, serverId: number, load: Load): ServerModel {
  const { servers, view, tasks } = s.fleet
  return {
    server: servers.get(serverId),
    totals: view.serverTotals(serverId),
    open: tasks.open(serverId).length,
    load,
    syncedAt: view.syncedAt(serverId),
    now: s.runtime.now(),
  }
}

/** Draws at once what is known, and the load when it comes. */
async function showWithLoad(
  s: Services,
  ctx: StageContext,
  serverId: number,
  address: string,
  screen: (model: ServerModel) => Screen,
): Promise<void> {
  const reading = readLoad(s, serverId)
  const done = new AbortController()
  const soon = s.runtime.sleep(AT_ONCE_MS, AbortSignal.any([done.signal, s.signal])).then(
    (): Load => ({ state: 'asking' }),
    (): Load => ({ state: 'asking' }),
  )
  const first = await Promise.race([reading, soon])
  done.abort()
  await s.live.show(ctx, screen(serverModel(s, serverId, first)), address)
  if (first.state !== 'asking') return
  reading
    .then((load) => s.live.refresh(ctx, screen(serverModel(s, serverId, load)), address))
    .catch((error: unknown) => {
      if (!s.signal.aborted)
        s.log.warn({ serverId, error: safeFields(error) }, 'the load of a server was not shown')
    })
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

/** Beside the live message, which a wizard is using. @throws FleetError SERVER_NOT_FOUND */
export async function showServerAside(s: Services, ctx: StageContext, serverId: number): Promise<void> {
  const load = await readLoad(s, serverId)
  await s.live.aside(ctx, serverScreen(serverModel(s, serverId, load), ctx.t))
}

/** @throws FleetError SERVER_NOT_FOUND */
export function showUsage(s: Services, ctx: StageContext, serverId: number): Promise<void> {
  const address = encodeTap('usage', { server: serverId })
  return showWithLoad(s, ctx, serverId, address, (model) => usageScreen(model, ctx.t))
}
