/** All of a node that has to do with limits, over a database in memory: Xray is a set of names that may enter. */
import type { ClientInput } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { createAccounting } from '#src/node/accounting.ts'
import { createAnswers } from '#src/node/writes/answers.ts'
import { createClients } from '#src/node/clients.ts'
import { createNodeClock } from '#src/node/machine/clock.ts'
import { createEnforcement } from '#src/node/limits/enforce.ts'
import { type LimitEvent, turnedBy } from '#src/node/limits/limit-events.ts'
import { isOpen } from '#src/node/engine/listeners.ts'
import { createPosition } from '#src/node/rows/position.ts'
import { createRows } from '#src/node/rows/rows.ts'
import { viewRows } from '#src/node/rows/rows-view.ts'
import { createSettings } from '#src/node/rows/settings.ts'
import { createWrites } from '#src/node/writes/writes.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import type { FakeRuntime } from './fake-runtime.ts'
import { silentLog } from './silent-log.ts'

const INBOUND = 1
const box = createSecretBox([{ id: 'test', key: Buffer.alloc(32, 7) }])

export function openLimitsHouse(db: Sqlite, clocks: FakeRuntime) {
  const served = new Set<string>()
  const connected = new Map<string, string[]>()
  const counters = new Map<string, number>()
  const events: LimitEvent[] = []
  let refusals = 0
  let refused: string | null = null
  let hangs = false
  let isSilent = false
  let isUntold = false
  /** Of how many it was asked from where they are connected, each time. */
  const asked: number[] = []
  let keys = 0
  // It has run for long.
  createSettings(db).setTimeSeen({ time: clocks.now(), lived: null, uptime: null })
  let parts = begin()

  /** What a restart of our process is: everything anew over the same file. Xray is as it was. */
  function begin() {
    const clock = createNodeClock(clocks, createSettings(db))
    const runtime: Runtime = { ...clocks, now: clock.now }
    const rows = createRows(db, box)
    const position = createPosition(db, () => runtime.uuid())
    const answers = createAnswers(db, rows, 'host')
    const publish = (event: LimitEvent): void => void events.push(event)
    const writes = createWrites({
      db,
      box,
      runtime,
      age: clock.lived,
      log: silentLog(),
      position,
      view: () => viewRows(rows),
      push: async (before) => {
        const isForAll = before.scope.clients.length + before.scope.inbounds.length > 0
        const isRefused = before.clients.some((row) => row['email'] === refused && row['blocked'] === null)
        if (isRefused || (refusals > 0 && isForAll)) {
          refusals--
          fail('XRAY_REFUSED', { reason: 'as the test says' })
        }
        if (hangs) await new Promise(() => undefined)
        serve()
      },
      reconcile: async () => serve(),
      answer: (operation, before, now) => answers.after(operation, before, now),
      applied: (before, now) => turnedBy(before, now, runtime.now()).forEach(publish),
    })
    function serve(): number {
      served.clear()
      const isInboundOpen = rows.allInboundSettings().some(isOpen)
      for (const client of rows.clients()) if (isInboundOpen && isOpen(client)) served.add(client.email)
      return 0
    }
    return {
      clock,
      rows,
      writes,
      serve,
      accounting: createAccounting({ db, position, now: () => runtime.now() }),
      clients: createClients({
        db,
        rows,
        writes,
        position,
        runtime,
        engine: { requireRunning: () => undefined },
        api: { online: async () => [], addresses: async () => [] },
      }),
      enforcement: createEnforcement({
        db,
        writes,
        position,
        async online(choose) {
          const chosen = new Set(choose([...connected.keys()]))
          asked.push(chosen.size)
          if (isSilent) await new Promise(() => undefined)
          if (isUntold) return null
          return [...connected].map(([email, ips]) => ({
            email,
            ips: chosen.has(email) ? ips.map((ip) => ({ ip })) : null,
          }))
        },
        publish,
        mayBeLater: clock.mayBeLater,
        runtime,
        log: silentLog(),
      }),
    }
  }

  const call = () => ({ idempotencyKey: `key-${++keys}` })

  return {
    served,
    events,
    asked,
    now: () => parts.clock.now(),
    mayBeLater: () => parts.clock.mayBeLater(),
    client: (email: string) => parts.rows.clientByEmail(email),
    used: (email: string): number =>
      Number(
        db
          .prepare(
            `select coalesce(sum(up + down - reset_up - reset_down), 0) from client_traffics t
             join clients c on c.server_id = t.server_id and c.id = t.client_id where c.email = ?`,
          )
          .pluck()
          .get(email),
      ),
    async restart(): Promise<void> {
      hangs = false
      parts = begin()
      await parts.writes.settle(() => undefined)
    },
    /** Xray answers no more: whatever is being told to it comes to no end. */
    hang(): void {
      hangs = true
    },
    /** Xray refuses to refuse this one. */
    refuseFor(email: string | null): void {
      refused = email
    },
    /** Xray refuses so many of the next changes. */
    refuse(times: number): void {
      refusals = times
    },
    /** Who is connected is told later than anybody waits. */
    fallSilent(): void {
      isSilent = true
    },
    /** Whether Xray does not tell who is connected. */
    tellNothing(isSo: boolean): void {
      isUntold = isSo
    },
    connect(email: string, ips: string[]): void {
      connected.set(email, ips)
    },
    move(email: string, bytes: number): void {
      const name = `user>>>${email}#${INBOUND}>>>traffic>>>downlink`
      counters.set(name, (counters.get(name) ?? 0) + bytes)
    },
    async tick(): Promise<void> {
      parts.clock.note()
      parts.accounting.record('xray', counters)
      await parts.enforcement.run()
      await parts.writes.mend()
    },
    add: (...clients: ClientInput[]) =>
      parts.clients['clients.add']({ id: String(INBOUND), clients }, call()),
    update: (email: string, changes: Partial<Omit<ClientInput, 'email' | 'subscriptionId'>>, as = call()) =>
      parts.clients['clients.update']({ email, ...changes }, as),
    reset: (email: string) => parts.clients['clients.resetTraffic']({ email }, call()),
  }
}

/** Gives a database the inbound all clients stand in. */
export function withInbound(db: Sqlite): Sqlite {
  createRows(db, box).saveInbound({
    id: INBOUND,
    tag: 'in-1',
    remark: '',
    protocol: 'vless',
    settings: { fallbacks: [] },
    listen: '127.0.0.1',
    port: 443,
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
    sniffing: { enabled: false, destOverride: [] },
    enabled: true,
    limitBytes: null,
    expiresAt: null,
    trafficReset: 'never',
    nextResetAt: null,
    blocked: null,
    secrets: {},
    linkSecrets: {},
    rowVersion: 1,
    changeSeq: 0,
    createdAt: 0,
    updatedAt: 0,
  })
  const position = createPosition(db, () => 'epoch')
  // Id 1 is the inbound's.
  position.nextId()
  return db
}
