/**
 * The time by which limits are kept. A machine's clock may be set: by a time server that corrects it, or by mistake.
 * A jump is believed once it has stood for an hour; until then time goes on as it did. So a clock that was wrong for
 * a moment neither ends what is paid for nor revives what has ended.
 */
import type { Runtime } from '#src/runtime.ts'
import type { Settings } from './settings.ts'

/** Time servers correct a drift by less; a person who sets a clock wrongly is further off. */
const JUMP_MS = 5 * 60 * 1000
/** Long enough for a time server to correct a clock that was wrong at the start of its machine. */
const BELIEVED_AFTER_MS = 60 * 60 * 1000
/** After a kill it is known to the minute how far time had come, and the file is not written all day. */
const NOTE_EVERY_MS = 60 * 1000

/** Where time stands. All in ms; `steady` by the clock that never jumps. */
interface Standing {
  time: number
  steady: number
  /** A jump that is not believed yet: how far the wall clock is ahead, and since when. */
  doubt: { ahead: number; since: number } | null
}

/** What time it is, by what was known and what the clocks say now. Pure. */
export function judgeTime(before: Standing, clocks: { wall: number; steady: number }): Standing {
  const { wall, steady } = clocks
  const expected = before.time + Math.floor(steady - before.steady)
  const ahead = wall - expected
  // Never back: it stands still until a clock that was set back a little has caught up.
  if (Math.abs(ahead) <= JUMP_MS) return { time: Math.max(before.time, wall), steady, doubt: null }
  const isSame = before.doubt !== null && Math.abs(before.doubt.ahead - ahead) <= JUMP_MS
  const since = isSame ? (before.doubt?.since ?? steady) : steady
  if (steady - since >= BELIEVED_AFTER_MS) return { time: wall, steady, doubt: null }
  return { time: expected, steady, doubt: { ahead, since } }
}

export function createNodeClock(runtime: Pick<Runtime, 'now' | 'monotonic'>, settings: Settings) {
  const clocks = (): { wall: number; steady: number } => ({
    wall: runtime.now(),
    steady: runtime.monotonic(),
  })
  const { wall, steady } = clocks()
  const noted = settings.timeSeen() ?? wall
  // How long a machine was off nobody can tell: a later time is taken as it is, an earlier one is looked at first.
  let standing = judgeTime({ time: Math.max(noted, wall), steady, doubt: null }, { wall, steady })
  let notedAt = -Infinity

  const now = (): number => {
    standing = judgeTime(standing, clocks())
    return standing.time
  }

  return {
    /** ms since the epoch, as far as the wall clock is believed. */
    now,
    /** Keeps for the next start how far time has come. Never throws: on a full disk it is kept the next time. */
    note(): void {
      const time = now()
      if (standing.steady - notedAt < NOTE_EVERY_MS) return
      try {
        settings.setTimeSeen(time)
        notedAt = standing.steady
      } catch {
        return
      }
    },
  }
}
