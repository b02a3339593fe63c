/**
 * The time by which limits are kept. A machine's clock may be set: by a time server that corrects it, or by mistake.
 * A jump is believed once it has stood for an hour; until then time goes on as it did, also over a restart. So a clock
 * that was wrong for a while, as a machine without a battery is until it has reached a time server, neither ends what
 * is paid for nor revives what has ended.
 */
import type { Runtime } from '#src/runtime.ts'
import type { MachineUptime, NotedTime, Settings } from '../rows/settings.ts'

/** Time servers correct a drift by less; a person who sets a clock wrongly is further off. */
const JUMP_MS = 5 * 60 * 1000
/** Long enough for a time server to correct a clock that was wrong at the start of its machine. */
const BELIEVED_AFTER_MS = 60 * 60 * 1000
/** After a kill it is known to the minute how far time had come, and the file is not written all day. */
const NOTE_EVERY_MS = 60 * 1000

interface Clocks {
  wall: number
  /** By the clock that never jumps. */
  steady: number
}

/** Where time stands. All in ms. */
export interface Standing {
  time: number
  steady: number
  /**
   * A jump that is not believed yet: how far the wall clock is ahead, and since when; and whether it stands since a start
   * before which nobody knows how long we were off.
   */
  doubt: { ahead: number; since: number; isFromStart: boolean } | null
  /** The course of time that the last jump that was believed has left: it was no jump if the clock comes back to it. */
  left: { time: number; steady: number } | null
  /** Until then nothing is known that speaks against any jump: it is the first hour of the first start. */
  newUntil: number | null
}

/** Where time stands at a start, by what was noted before, if ever. Pure. */
export function startTime(noted: NotedTime | null, clocks: Clocks, uptime: MachineUptime | null): Standing {
  const { wall, steady } = clocks
  const none = { steady, doubt: null, left: null }
  if (noted === null) return { ...none, time: wall, newUntil: steady + BELIEVED_AFTER_MS }
  // Where the machine has run on, it tells how long we were off.
  const off = uptime !== null && uptime.boot === noted.uptime?.boot ? uptime.ms - noted.uptime.ms : 0
  const time = noted.time + Math.max(0, Math.floor(off))
  const standing = judgeTime({ ...none, time, newUntil: null }, clocks)
  return standing.doubt === null ? standing : { ...standing, doubt: { ...standing.doubt, isFromStart: true } }
}

/** What time it is, by what was known and what the clocks say now. Pure. */
export function judgeTime(before: Standing, { wall, steady }: Clocks): Standing {
  const course = ({ time, steady: then }: { time: number; steady: number }): number =>
    time + Math.floor(steady - then)
  const expected = course(before)
  const ahead = wall - expected
  const isNew = before.newUntil !== null && steady < before.newUntil
  const next = { ...before, steady, doubt: null, newUntil: isNew ? before.newUntil : null }
  // Never back: it stands still until a clock that was set back a little has caught up.
  if (Math.abs(ahead) <= JUMP_MS) return { ...next, time: Math.max(before.time, wall) }
  if (isNew) return { ...next, time: wall }
  const isBack = before.left !== null && Math.abs(wall - course(before.left)) <= JUMP_MS
  if (isBack) return { ...next, time: wall, left: null }
  const { doubt } = before
  const isSame = doubt !== null && Math.abs(doubt.ahead - ahead) <= JUMP_MS
  const since = isSame ? doubt.since : steady
  if (steady - since >= BELIEVED_AFTER_MS) return { ...next, time: wall, left: { time: expected, steady } }
  return { ...next, time: expected, doubt: { ahead, since, isFromStart: doubt?.isFromStart ?? false } }
}

/** @param uptime how long the machine has been running; null: unknown */
export function createNodeClock(
  runtime: Pick<Runtime, 'now' | 'monotonic'>,
  settings: Settings,
  uptime: () => MachineUptime | null = () => null,
) {
  const clocks = (): Clocks => ({ wall: runtime.now(), steady: runtime.monotonic() })
  const begun = clocks()
  const noted = settings.timeSeen()
  let standing = startTime(noted, begun, uptime())
  let notedAt = -Infinity

  const look = (): Standing => (standing = judgeTime(standing, clocks()))
  const lived = (): number =>
    (noted?.lived ?? noted?.time ?? begun.wall) + Math.floor(runtime.monotonic() - begun.steady)

  return {
    /** ms since the epoch, as far as the wall clock is believed. */
    now: () => look().time,
    /**
     * Whether it may be much later than `now` says: the wall clock has been ahead since a start, and how long we were off
     * nobody knows.
     */
    mayBeLater: (): boolean => {
      const { doubt } = look()
      return doubt !== null && doubt.isFromStart && doubt.ahead > 0
    },
    /**
     * ms that grow only while we run, from when that was first noted: how old something of our own is, whatever has
     * become of the clock. Comes back by a minute at most after a kill.
     */
    lived,
    /** Keeps for the next start how far time has come. Never throws: on a full disk it is kept the next time. */
    note(): void {
      const { time, steady } = look()
      if (steady - notedAt < NOTE_EVERY_MS) return
      try {
        settings.setTimeSeen({ time, lived: lived(), uptime: uptime() })
        notedAt = steady
      } catch {
        return
      }
    },
  }
}
