import type { Health } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { FleetEvents, Server, ServerReport } from '#src/fleet/types.ts'
import type { HealthFleet } from '#src/health/observer.ts'
import { type Db, tables } from '#src/store/drizzle.ts'

/** How a server of the fake fleet takes a probe. */
export type Mood = 'up' | 'slow' | 'dead' | 'silent' | 'xrayDown' | 'partly' | 'notJoined'

/** ms. How long a slow one takes to say that all is well. */
const SLOW_MS = 2_000

/** A fleet whose servers do as they are told, as health sees it. Its rows are in the database too. */
export class FakeFleet implements HealthFleet {
  readonly rows = new Map<number, Server>()
  readonly moods = new Map<number, Mood>()
  /** What was called, in order: `health 1`, `info 1`, `kick 1`, `noted 1`. */
  readonly calls: string[] = []
  readonly reports: (ServerReport & { id: number })[] = []
  agentVersion = '0.1.0'
  private readonly listeners = new Map<keyof FleetEvents, Set<(value: never) => void>>()
  private readonly db: () => Db
  private readonly sleep: (ms: number) => Promise<void>

  constructor(db: () => Db, sleep: (ms: number) => Promise<void> = async () => undefined) {
    this.db = db
    this.sleep = sleep
  }

  add(id: number, mood: Mood = 'up'): void {
    const name = `s${id}`
    const row = { id, name, nameKey: name, kind: 'agent', createdAt: 0, updatedAt: 0 } as const
    this.db().insert(tables.servers).values(row).onConflictDoNothing().run()
    const found = this.db()
      .select()
      .from(tables.servers)
      .all()
      .find((each) => each.id === id)
    if (found === undefined) throw new Error('the row was not written')
    this.rows.set(id, { ...found, name })
    this.moods.set(id, mood)
  }

  enable(id: number, enabled: boolean): void {
    const row = this.rows.get(id)
    if (row === undefined) throw new Error(`no server ${id}`)
    this.rows.set(id, { ...row, enabled })
    this.emit('server', id)
  }

  remove(id: number): void {
    this.rows.delete(id)
    this.db().$client.prepare('delete from servers where id = ?').run(id)
    this.emit('server', id)
  }

  emit(event: 'server' | 'joined' | 'suspect', serverId: number): void {
    for (const listener of this.listeners.get(event) ?? []) listener({ serverId } as never)
  }

  count(call: string): number {
    return this.calls.filter((each) => each === call).length
  }

  readonly servers = {
    list: (): Server[] => [...this.rows.values()],
    find: (id: number): Server | undefined => this.rows.get(id),
    report: (id: number, report: ServerReport): void => {
      const row = this.rows.get(id)
      if (row === undefined) return
      this.reports.push({ id, ...report })
      this.rows.set(id, { ...row, ...report })
      this.emit('server', id)
    },
  }

  readonly tasks = { kick: (id: number): void => void this.calls.push(`kick ${id}`) }

  noteHealth = (id: number): Promise<void> => {
    this.calls.push(`noted ${id}`)
    return Promise.reject(new Error('the mirror is not to be health’s trouble'))
  }

  noteInfo = (id: number): void => void this.calls.push(`described ${id}`)

  on: HealthFleet['on'] = (event, listener) => {
    const listeners = this.listeners.get(event) ?? new Set()
    this.listeners.set(event, listeners.add(listener))
    return () => void listeners.delete(listener)
  }

  connectorFor = (id: number): ReturnType<HealthFleet['connectorFor']> => ({
    server: {
      health: () => {
        this.calls.push(`health ${id}`)
        return this.answer(id)
      },
      info: () => {
        this.calls.push(`info ${id}`)
        return Promise.resolve({
          hostname: `s${id}`,
          agentVersion: this.agentVersion,
          xrayVersion: '26.1.1',
          os: 'linux',
          arch: 'x64',
          kernel: '6',
          uptime: 1,
          epoch: 'e',
        })
      },
    },
  })

  private answer(id: number): Promise<Health> {
    const mood = this.moods.get(id) ?? 'dead'
    if (mood === 'silent') return new Promise(() => undefined)
    if (mood === 'notJoined') return Promise.reject(new FleetError('SERVER_NOT_JOINED'))
    if (mood === 'dead') {
      return Promise.reject(new FleetError('SERVER_UNREACHABLE', { reason: 'nothing listens there' }))
    }
    const down = mood === 'xrayDown'
    const wrong = { xrayDown: 'signal: killed', partly: 'main is closed' }[mood as string] ?? null
    const answer: Health = {
      status: wrong === null ? 'online' : 'error',
      xrayRunning: !down,
      agentVersion: this.agentVersion,
      xrayVersion: '26.1.1',
      lastError: wrong,
      epoch: 'e',
      changeSeq: 1,
      trafficSeq: 1,
      time: 0,
    }
    return mood === 'slow' ? this.sleep(SLOW_MS).then(() => answer) : Promise.resolve(answer)
  }
}
