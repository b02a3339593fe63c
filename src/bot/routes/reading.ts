import type { ServerConnector } from '#src/contract/index.ts'
import { safeFields } from '../api-errors.ts'
import type { Services } from '../services.ts'
import type { Screen, StageContext } from '../types.ts'

/** A server that does not answer by then is not reachable now. */
const PATIENCE_MS = 3_000
/** Most servers answer in this time: then the screen is drawn once. */
const AT_ONCE_MS = 300

/** What a server says of itself now: not there yet, not to be had, or there. */
export type Reading<V> = { state: 'asking' } | { state: 'unreachable' } | { state: 'known'; value: V }

type Read<V> = (connector: ServerConnector, options: { signal: AbortSignal }) => Promise<V>

/** Asks a server, and waits for it 3 s at most. Never rejects. @throws FleetError SERVER_NOT_FOUND */
export async function readFrom<V>(
  s: Pick<Services, 'fleet' | 'runtime' | 'signal'>,
  serverId: number,
  read: Read<V>,
): Promise<Reading<V>> {
  const { enabled, status } = s.fleet.servers.get(serverId)
  if (!enabled || status === 'pending') return { state: 'unreachable' }
  const done = new AbortController()
  const signal = AbortSignal.any([done.signal, s.signal])
  const late = s.runtime.sleep(PATIENCE_MS, signal).then(
    () => 'late' as const,
    () => 'late' as const,
  )
  try {
    const answer = await Promise.race([read(s.fleet.connectorFor(serverId), { signal }), late])
    return answer === 'late' ? { state: 'unreachable' } : { state: 'known', value: answer }
  } catch {
    return { state: 'unreachable' }
  } finally {
    done.abort()
  }
}

/** Draws at once what is known, and what the server says when it comes. */
export async function showReading<V>(
  s: Services,
  ctx: StageContext,
  { serverId, address, read }: { serverId: number; address: string; read: Read<V> },
  screen: (reading: Reading<V>) => Screen,
): Promise<void> {
  const reading = readFrom(s, serverId, read)
  const done = new AbortController()
  const soon = s.runtime.sleep(AT_ONCE_MS, AbortSignal.any([done.signal, s.signal])).then(
    (): Reading<V> => ({ state: 'asking' }),
    (): Reading<V> => ({ state: 'asking' }),
  )
  const first = await Promise.race([reading, soon])
  done.abort()
  await s.live.show(ctx, screen(first), address)
  if (first.state !== 'asking') return
  reading
    .then((answer) => s.live.refresh(ctx, screen(answer), address))
    .catch((error: unknown) => {
      if (!s.signal.aborted)
        s.log.warn({ serverId, error: safeFields(error) }, 'what a server said of itself was not shown')
    })
}
