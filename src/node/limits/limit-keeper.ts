/** All that keeps limits on a node: who is refused, what is said of it, and what becomes of what still stands. */
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { Cutting } from '#src/xray/sockets/cutting.ts'
import type { Accounting } from '../accounting.ts'
import { createAdmission } from './admission.ts'
import { type CutMode, createCutter } from './cut.ts'
import { createEnforcement } from './enforce.ts'
import type { Engine } from '../engine/engine.ts'
import { type PublishLimit, calmly, turnedBy } from './limit-events.ts'
import type { PositionStore } from '../rows/position.ts'
import { type Present, lookWho } from './presence.ts'
import { createQuietRestart } from './quiet-restart.ts'
import type { RowsView } from '../rows/rows-view.ts'
import type { Snapshot } from '../rows/snapshot.ts'
import { createTurningAway } from './turning-away.ts'
import type { Writes } from '../writes/writes.ts'
import type { XrayParts } from '../engine/xray-parts.ts'

/** With the 10 s between two looks at limits this stays under the 15 s that are promised. */
const TURN_AWAY_EVERY_MS = 2_500

export interface LimitKeeperDeps {
  db: Sqlite
  writes: Writes
  position: PositionStore
  xray: Pick<XrayParts, 'api' | 'openCutting'>
  engine: Pick<Engine, 'state'>
  accounting: Pick<Accounting, 'unread' | 'isBehind'>
  /** Ends all connections, once the counters are read. */
  restartXray: () => Promise<void>
  /** Connections are cut, where that is possible, unless told. */
  cut?: CutMode | undefined
  publish?: PublishLimit | undefined
  /** Whether it may be much later than the time says. */
  mayBeLater: () => boolean
  runtime: Runtime
  log: Log
}

export function createLimitKeeper(deps: LimitKeeperDeps) {
  const { db, writes, xray, engine, accounting, restartXray, cut = 'sockets', runtime, log } = deps
  const publish = calmly(deps.publish ?? (() => undefined), (error) =>
    log.error({ error }, 'an event was not published'),
  )
  const enforcement = createEnforcement({ ...deps, online, publish })
  const mayStay = createAdmission(db)
  const cutter = createCutter({ db, mayStay, now: () => runtime.now(), log })
  const quietRestart = createQuietRestart({
    connected: () => xray.api.online(),
    mayStay,
    restart: restartXray,
    now: () => runtime.now(),
    log,
  })
  const turningAway = createTurningAway({
    db,
    api: xray.api,
    unread,
    suspect: () => writes.suspect([]),
    now: () => runtime.now(),
    log,
  })
  let cutting: Cutting | undefined

  async function unread(): Promise<ReadonlyMap<string, number>> {
    const { startedAt } = engine.state()
    return startedAt === null ? new Map() : accounting.unread(startedAt, await xray.api.counters())
  }

  async function online(choose: Parameters<typeof lookWho>[1]): Promise<Present[] | null> {
    if (!engine.state().running) return []
    return lookWho(xray.api, choose).catch(() => null)
  }

  return {
    /** What Xray is to write its access log to; null: nothing. */
    accessLog: (): string | null => cutting?.accessLog ?? null,

    /** Before Xray is started or adopted: it may have been told of a pipe that must have a reader. */
    async begin(): Promise<void> {
      cutting = await xray.openCutting(cut === 'sockets', (seen) => cutter.note(seen))
      cutter.use(cutting.sockets)
    },

    /** Does what has to wait for its turn among changes. Whoever is over a limit meanwhile is turned away. */
    async whileWaiting(work: () => Promise<void>): Promise<void> {
      const over = new AbortController()
      const watching = (async (): Promise<void> => {
        for (;;) {
          await runtime.sleep(TURN_AWAY_EVERY_MS, over.signal)
          if (engine.state().running) await turningAway.run()
        }
      })().catch(() => undefined)
      try {
        await work()
      } finally {
        over.abort()
        await watching
      }
    },

    /** Looks at everybody's limits. Never rejects. */
    async round(): Promise<void> {
      const isDone = await enforcement.run()
      if (isDone && !accounting.isBehind()) turningAway.settle()
      else if (engine.state().running) await turningAway.run()
      await cutter.sweep()
      if (cut === 'restart' && engine.state().running) await quietRestart.run()
    },

    /** A change has come about. */
    applied(before: Snapshot, now: RowsView): void {
      turnedBy(before, now, runtime.now()).forEach(publish)
      void cutter.sweep()
    },

    /** A client has credentials that are others than they were. */
    renewed(email: string): void {
      cutter.outdate(email)
      void cutter.sweep()
    },

    async end(): Promise<void> {
      await cutter.end()
      cutting?.close()
    },
  }
}
