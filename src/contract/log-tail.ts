import { eventIterator } from '@orpc/contract'
import { z } from 'zod'
import { wholeNumber } from './primitives.ts'

/** As Xray writes them, the loudest last. */
export const logLevels = ['debug', 'info', 'warning', 'error'] as const

export const tailInput = z.strictObject({
  /** xray: its log. output: what it printed since its last start. */
  source: z.enum(['xray', 'output']).default('xray'),
  /** Lines of this level and above; a line that has none is always among them. */
  level: z.enum(logLevels).optional(),
  /** Lines with this text in them, in whatever case. */
  contains: z.string().min(1).max(200).optional(),
  /** So many of the lines that are there already come first. */
  lines: wholeNumber.pipe(z.number().min(0).max(1_000)).default(50),
})

/** What has come since the event before, oldest first; nothing, now and then, while nothing comes. */
export const tailed = z.object({
  /** How many lines came before these, at least, that are left out since they were too many. */
  skipped: z.number().int().nonnegative(),
  lines: z.array(z.string()),
})
export type Tailed = z.output<typeof tailed>

export const tailEvents = eventIterator(tailed)
