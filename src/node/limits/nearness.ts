/** Who comes near a limit, told once for each threshold and period, over restarts too. */
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { DAY_MS } from '#src/runtime.ts'
import type { LimitEvent } from './limit-events.ts'

/** Per cent of the bytes; first early enough to do something, then when it is about to end. */
const PERCENTS = [80, 95] as const
const DAYS_BEFORE = [3, 1] as const
/** Whatever is less near than this is not near at all. */
export const nearest = { share: PERCENTS[0] / 100, ms: DAYS_BEFORE[0] * DAY_MS }

/** Limits of one client or inbound, as they stand now. */
export interface Standing {
  of: 'client' | 'inbound'
  id: number
  name: string
  limitBytes: number | null
  expiresAt: number | null
  /** Since its count last began anew. */
  usedBytes: number
  /** Names the period its bytes are counted in: all that was moved before it. */
  countedFrom: number
}

/** How far a limit is come near: how many thresholds are passed, of the period that is named. */
interface Level {
  period: string
  passed: number
}
interface Nearness {
  traffic: Level
  expiry: Level
}

function nearness({ limitBytes, expiresAt, usedBytes, countedFrom }: Standing, now: number): Nearness {
  const percent = limitBytes === null ? 0 : (usedBytes / limitBytes) * 100
  const left = expiresAt === null ? Infinity : expiresAt - now
  // What is reached is past every threshold, and is told of otherwise.
  return {
    traffic: {
      period: `${limitBytes}:${countedFrom}`,
      passed: [...PERCENTS, 100].filter((threshold) => percent >= threshold).length,
    },
    expiry: {
      period: String(expiresAt),
      passed: [...DAYS_BEFORE, 0].filter((days) => left <= days * DAY_MS).length,
    },
  }
}

/** What there is to say now that `before` was said. Only the nearest of what was passed at once. */
function nearEvents(row: Standing, before: Nearness | undefined, after: Nearness, at: number): LimitEvent[] {
  const { of, id, name, limitBytes, expiresAt, usedBytes } = row
  const events: LimitEvent[] = []
  const isNews = (kind: keyof Nearness): boolean =>
    before?.[kind].period !== after[kind].period || after[kind].passed > before[kind].passed
  const percent = PERCENTS[after.traffic.passed - 1]
  if (percent !== undefined && limitBytes !== null && isNews('traffic'))
    events.push({ type: 'limitNear', limit: 'traffic', of, id, name, at, percent, usedBytes, limitBytes })
  const days = DAYS_BEFORE[after.expiry.passed - 1]
  if (days !== undefined && expiresAt !== null && isNews('expiry'))
    events.push({ type: 'limitNear', limit: 'expiry', of, id, name, at, days, expiresAt })
  return events
}

const S = LOCAL_SERVER_ID
const PREFIX = `limits.near:${S}:`

/** Remembers what was said, in the file. */
export function createNearnessWatch(db: Sqlite) {
  // ";" is what comes after ":".
  const all = db.prepare(
    `select key, value from settings where key >= '${PREFIX}' and key < '${PREFIX.slice(0, -1)};'`,
  )
  const keep = db.prepare(
    'insert into settings (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
  )
  const forget = db.prepare('delete from settings where key = ?')
  const told = new Map(
    (all.all() as { key: string; value: string }[]).map(({ key, value }) => [
      key,
      JSON.parse(value) as Nearness,
    ]),
  )
  const save = db.transaction((changed: Map<string, Nearness | null>): void => {
    for (const [key, value] of changed) {
      if (value === null) forget.run(key)
      else keep.run(key, JSON.stringify(value))
    }
  })

  return {
    /**
     * @param rows all that are near a limit, and any others
     * @returns what has come near since it was last looked at; it is never returned again
     */
    look(rows: readonly Standing[], now: number): LimitEvent[] {
      const changed = new Map<string, Nearness | null>()
      const events: LimitEvent[] = []
      const gone = new Set(told.keys())
      for (const row of rows) {
        const key = `${PREFIX}${row.of}:${row.id}`
        const before = told.get(key)
        const after = nearness(row, now)
        if (after.traffic.passed === 0 && after.expiry.passed === 0) continue
        gone.delete(key)
        if (before !== undefined && JSON.stringify(before) === JSON.stringify(after)) continue
        changed.set(key, after)
        events.push(...nearEvents(row, before, after, now))
      }
      for (const key of gone) changed.set(key, null)
      if (changed.size === 0) return []
      save.immediate(changed)
      for (const [key, value] of changed) {
        if (value === null) told.delete(key)
        else told.set(key, value)
      }
      return events
    },
  }
}
