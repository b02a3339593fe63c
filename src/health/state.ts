import { z } from 'zod'
import { incidentKinds, serverStatuses } from '#src/store/schema.ts'
const streak = z.object({
  /** Probes in a row with this outcome. */
  count: z.number().int().positive(),
  /** When the first of them was sent, ms. */
  since: z.number(),
})
export type Streak = z.output<typeof streak>

/**
 * All that is known about one server's health, as kept in server_health.state. Times are points in time, not
 * running timers, so that a restart forgets nothing.
 */
const healthState = z.object({
  /** What is confirmed and was told. pending: nothing is known yet. */
  status: z.enum(serverStatuses),
  /** Evidence for another status than the confirmed one, by the status it speaks for. Any makes the server suspect. */
  streaks: z.object({
    online: streak.optional(),
    offline: streak.optional(),
    error: streak.optional(),
    partly: streak.optional(),
  }),
  /** When it last answered, ms. null: never. The file may hold an older one than memory. */
  lastProof: z.number().nullable(),
  /** The trouble that was told and is not over. */
  incident: z
    .object({
      kind: z.enum(incidentKinds),
      /** Since when the server was not online, ms: an offline that follows an error counts from the error. */
      downSince: z.number(),
    })
    .nullable(),
  /** Until then nothing is called down, ms. */
  graceUntil: z.number(),
})
export type HealthState = z.output<typeof healthState>

/** A server of which nothing is known yet. */
export const unknownServer: HealthState = {
  status: 'pending',
  streaks: {},
  lastProof: null,
  incident: null,
  graceUntil: 0,
}

/** What was stored, or undefined when no release that we know has written it. */
export function parseHealthState(value: unknown): HealthState | undefined {
  const parsed = healthState.safeParse(value)
  return parsed.success ? parsed.data : undefined
}

/**
 * Whether going from one state to the other must be written down. Another good reply of a well server need not:
 * a quiet server then costs no write.
 */
export function isWorthKeeping(before: HealthState, after: HealthState): boolean {
  const essence = ({ status, streaks, incident, lastProof }: HealthState): string =>
    JSON.stringify([
      status,
      streaks.online,
      streaks.offline,
      streaks.error,
      streaks.partly,
      incident,
      lastProof === null,
    ])
  return essence(before) !== essence(after)
}
