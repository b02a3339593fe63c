import { createObserver, type ObserverOptions } from './observer.ts'
import { defaultHealthPolicy, type HealthPolicy, SWEEP_EVERY_MS } from './policy.ts'
import { cronSchedule, type Schedule } from './schedule.ts'

export interface HealthMonitor {
  /** Goes on where the last run ended, and sweeps at once. */
  start(): void
  /** Ends timers and probes; what they would have found is for the next run. */
  stop(): Promise<void>
  /** Probes every enabled server, all at once. Joins a sweep that is under way. */
  sweep(): Promise<void>
  /** Probes one server now, or joins the probe that is under way. */
  check(serverId: number): Promise<void>
  /** ms: when the last whole sweep ended; null before the first has. A sweep that failed does not count. */
  lastSweepEndedAt(): number | null
  /** Whether sweeps end as often as they should. For a while after the start they are taken to. */
  isAwake(): boolean
}

export interface MonitorOptions extends Omit<ObserverOptions, 'policy'> {
  policy?: Partial<HealthPolicy>
  /** Between two sweeps, ms; whole seconds. */
  intervalMs?: number
  schedule?: Schedule
}

/** A newcomer's agent starts to listen a moment after it has joined; its screen must not wait for the next sweep. */
const GREET_EVERY_MS = 1_000
const GREET_FOR_MS = 60_000
/** What is pushed is looked into at once; a server that pushes again and again is not to keep us busy. */
const PUSHED_LOOK_EVERY_MS = 1_000
/** One sweep may be late and one may fail before anyone is to be woken. */
const INTERVALS_UNTIL_STALLED = 3

/** Decides when to look at which server. What is seen and what follows is the observer's part. */
export function createHealthMonitor(options: MonitorOptions): HealthMonitor {
  const { fleet, runtime, log } = options
  const policy: HealthPolicy = { ...defaultHealthPolicy, ...options.policy }
  const observer = createObserver({ ...options, policy })
  const stopping = new AbortController()
  const probing = new Map<number, Promise<void>>()
  const reprobes = new Map<number, AbortController>()
  const greeting = new Set<number>()
  /** Servers that will be looked at because of what was pushed, and when each last was, ms by the monotonic clock. */
  const pushed = new Set<number>()
  const pushedAt = new Map<number, number>()
  const switchedOff = new Set<number>()
  const intervalMs = options.intervalMs ?? SWEEP_EVERY_MS
  /** A sweep may itself last as long as its slowest probe, however short the interval is. */
  const stalledAfterMs = INTERVALS_UNTIL_STALLED * intervalMs + policy.probeTimeoutMs
  let sweeping: Promise<void> | undefined
  /** On the clock that only goes forward: a machine's clock that is set says nothing of whether we are awake. */
  let wokeAt = runtime.monotonic()
  let sweptAt: number | null = null
  let endings: (() => void)[] = []

  const complain = (error: unknown): void => {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    log.error({ reason }, 'health stumbled, it goes on')
  }
  const schedule = options.schedule ?? cronSchedule(complain)

  const disarm = (id: number): void => {
    reprobes.get(id)?.abort(new Error('superseded'))
    reprobes.delete(id)
  }

  const arm = (id: number, at: number): void => {
    disarm(id)
    if (stopping.signal.aborted) return
    const armed = new AbortController()
    reprobes.set(id, armed)
    runtime.sleep(Math.max(0, at - runtime.now()), armed.signal).then(
      () => look(id),
      () => undefined,
    )
  }

  /** Never two probes of one server at once: their outcomes could come in the wrong order. Never rejects. */
  const look = (id: number): Promise<void> => {
    const running = probing.get(id)
    if (running !== undefined) return running
    disarm(id)
    const timeoutMs = observer.isSuspect(id) ? policy.reprobeTimeoutMs : policy.probeTimeoutMs
    const work = observer
      .observe(id, timeoutMs, stopping.signal)
      .then((at) => (at === null ? undefined : arm(id, at)))
      .catch(complain)
      .finally(() => probing.delete(id))
    probing.set(id, work)
    return work
  }

  /** Follows what was done to a server's row. */
  const reconcile = (id: number): void => {
    const server = fleet.servers.find(id)
    if (server === undefined) {
      disarm(id)
      switchedOff.delete(id)
      pushedAt.delete(id)
      observer.forget(id)
      observer.hush()
    } else if (!server.enabled) {
      if (switchedOff.has(id)) return
      switchedOff.add(id)
      disarm(id)
      observer.leave(server)
      observer.hush()
    } else if (switchedOff.delete(id)) {
      void look(id)
    }
  }

  const sweepOnce = async (): Promise<void> => {
    const servers = fleet.servers.list()
    for (const id of new Set([...observer.known(), ...servers.map((server) => server.id)])) reconcile(id)
    // A message that was on its way when its server went may wait again by now.
    observer.hush()
    await Promise.all(servers.filter((server) => server.enabled).map((server) => look(server.id)))
    if (stopping.signal.aborted) return
    sweptAt = runtime.now()
    wokeAt = runtime.monotonic()
  }

  const sweep = (): Promise<void> => {
    sweeping ??= sweepOnce().finally(() => {
      sweeping = undefined
    })
    return sweeping
  }

  /** Until its first answer, or until it is left to the sweeps. */
  const greet = async (id: number): Promise<void> => {
    if (greeting.has(id)) return
    greeting.add(id)
    try {
      const until = runtime.monotonic() + GREET_FOR_MS
      while (!stopping.signal.aborted && runtime.monotonic() < until) {
        await look(id)
        if (observer.stateOf(id).lastProof !== null || fleet.servers.find(id) === undefined) return
        await runtime.sleep(GREET_EVERY_MS, stopping.signal)
      }
    } catch (error) {
      if (!stopping.signal.aborted) complain(error)
    } finally {
      greeting.delete(id)
    }
  }

  /** Something was pushed, which is newer than what a probe under way may see. */
  const lookAnew = async (id: number): Promise<void> => {
    if (pushed.has(id)) return
    pushed.add(id)
    try {
      await probing.get(id)
      const wait = (pushedAt.get(id) ?? -Infinity) + PUSHED_LOOK_EVERY_MS - runtime.monotonic()
      if (wait > 0) await runtime.sleep(wait, stopping.signal)
    } catch {
      // We are stopping.
      return
    } finally {
      pushed.delete(id)
    }
    pushedAt.set(id, runtime.monotonic())
    await look(id)
  }

  return {
    sweep,
    check: look,
    lastSweepEndedAt: () => sweptAt,
    isAwake: () => runtime.monotonic() - wokeAt <= stalledAfterMs,
    start: () => {
      wokeAt = runtime.monotonic()
      observer.begin()
      const sweeps = schedule(intervalMs, sweep)
      endings = [
        () => sweeps.stop(),
        fleet.on('joined', ({ serverId }) => void greet(serverId)),
        fleet.on('server', ({ serverId }) => reconcile(serverId)),
        fleet.on('suspect', ({ serverId }) => void lookAnew(serverId)),
      ]
      sweep().catch(complain)
    },
    stop: async () => {
      for (const end of endings) end()
      endings = []
      stopping.abort(new Error('stopped'))
      for (const id of reprobes.keys()) disarm(id)
      await Promise.allSettled([sweeping, ...probing.values()])
    },
  }
}
