import { createHealthMonitor, type HealthMonitor } from '#src/health/monitor.ts'
import type { Schedule } from '#src/health/schedule.ts'
import { createSender, type Outgoing, type Sender } from '#src/notify/sender.ts'
import { tables } from '#src/store/drizzle.ts'
import { FakeFleet } from './fake-fleet.ts'
import { createFakeRuntime, type FakeRuntime } from './fake-runtime.ts'
import { silentLog } from './silent-log.ts'
import { createTempStore } from './temp-store.ts'

/** When a desk's clock starts, ms. */
export const DESK_OPENED = 1_700_000_000_000

/** A controller as far as health goes: monitor, outbox and sender over a real file, on a clock of its own. */
export interface HealthDesk {
  fleet: FakeFleet
  runtime: FakeRuntime
  store: ReturnType<typeof createTempStore>
  /** The owners. */
  chats: string[]
  telegramIsAway: boolean
  /** So many of the next calls to wake the sender fail. */
  failWakes: number
  /** What arrived. */
  facts: Outgoing[]
  /** The same in short: `owner serverDown s1`. */
  said(): string[]
  openIncidents(): number
  monitor(): HealthMonitor
  boot(): void
  stop(): Promise<void>
  /** Ends the process and starts another on the same file, `away` ms later. */
  reboot(away: number): Promise<void>
  close(): Promise<void>
}

export function createHealthDesk(): HealthDesk {
  const runtime = createFakeRuntime({ now: DESK_OPENED })
  const store = createTempStore(DESK_OPENED)
  const log = silentLog()
  let running: { monitor: HealthMonitor; sender: Sender } | undefined

  /** As croner would, by the clock of the test. */
  const schedule: Schedule = (everyMs, job) => {
    const ending = new AbortController()
    const run = async (): Promise<void> => {
      for (;;) {
        await runtime.sleep(everyMs, ending.signal)
        await job()
      }
    }
    run().catch(() => undefined)
    return { stop: () => ending.abort(new Error('stopped')) }
  }

  const desk: HealthDesk = {
    fleet: new FakeFleet(
      () => store.db(),
      (ms) => runtime.sleep(ms),
    ),
    runtime,
    store,
    chats: ['owner'],
    telegramIsAway: false,
    failWakes: 0,
    facts: [],
    said: () => desk.facts.map(({ chat, kind, payload }) => `${chat} ${kind} ${payload.serverName}`),
    openIncidents: () =>
      store
        .db()
        .select()
        .from(tables.incidents)
        .all()
        .filter((incident) => incident.closedAt === null).length,
    monitor: () => {
      if (running === undefined) throw new Error('not booted')
      return running.monitor
    },
    boot: () => {
      const db = store.db()
      const sender = createSender({
        db,
        runtime,
        log,
        deliver: (message) => {
          if (desk.telegramIsAway) return Promise.reject(new Error('no route'))
          desk.facts.push(message)
          return Promise.resolve({ ok: true, messageId: desk.facts.length })
        },
      })
      const monitor = createHealthMonitor({
        db,
        fleet: desk.fleet,
        runtime,
        log,
        chats: () => desk.chats,
        wake: () => {
          if (desk.failWakes-- > 0) throw new Error('disk I/O error')
          sender.wake()
        },
        schedule,
      })
      running = { monitor, sender }
      sender.start()
      monitor.start()
    },
    stop: async () => {
      if (running === undefined) return
      const { monitor, sender } = running
      running = undefined
      const stopped = Promise.all([monitor.stop(), sender.stop()])
      await runtime.advance(3_000)
      await stopped
    },
    reboot: async (away) => {
      await desk.stop()
      runtime.skip(away)
      store.reopen()
      desk.boot()
      await runtime.advance(0)
    },
    close: async () => {
      await desk.stop()
      store.remove()
    },
  }
  return desk
}
