import { Cron } from 'croner'

/** Runs a job again and again, never twice at once, until stopped. The first run comes after one interval. */
export type Schedule = (everyMs: number, job: () => Promise<void>) => { stop(): void }

/** By croner, whose steps are whole seconds. What the job throws goes to `onError`. */
export function cronSchedule(onError: (error: unknown) => void): Schedule {
  return (everyMs, job) => {
    const interval = Math.max(1, Math.round(everyMs / 1_000))
    const cron = new Cron(
      '* * * * * *',
      // protect: a run that takes longer than the interval makes the next one wait its turn, not run beside it.
      { interval, protect: true, catch: onError, startAt: new Date(Date.now() + interval * 1_000) },
      () => job(),
    )
    return { stop: () => cron.stop() }
  }
}
