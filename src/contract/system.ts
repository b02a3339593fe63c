import { z } from 'zod'
import { logLevels, tailEvents, tailInput } from './log-tail.ts'
import { command, read } from './meta.ts'
import { bytes, trueOrFalse, wholeNumber } from './primitives.ts'

const count = z.number().int().nonnegative()
const usage = z.object({ used: bytes, total: bytes })

export const stats = z.object({
  /** Percent of all cores, over the time since the call before (100 ms to a minute). */
  cpu: z.number().min(0).max(100),
  cores: z.number().int().positive(),
  memory: usage,
  swap: usage,
  disk: usage,
  network: z.object({
    /** Bytes by this machine since it started, loopback excluded. */
    received: bytes,
    sent: bytes,
    /** Bytes a second, over the same time as `cpu`. */
    receiving: bytes,
    sending: bytes,
  }),
  /** Figures the kernel keeps anyway: listing connections would take 300 ms for 50,000 of them. */
  connections: z.object({
    /** TCP connections of this machine that stand. */
    tcp: count,
    /** Open UDP sockets; UDP itself knows no connections. */
    udp: count,
    /**
     * Sockets Xray has open: two for each connection it carries, to the client and to where it leads, and one for each
     * port it listens on. null: it does not run, or this cannot be seen.
     */
    xray: count.nullable(),
  }),
  /** This machine's addresses on the internet: of its own, else the configured one; null where neither tells. */
  publicAddress: z.object({ ipv4: z.ipv4().nullable(), ipv6: z.ipv6().nullable() }),
  /** Load average over 1, 5 and 15 minutes. */
  load: z.tuple([z.number(), z.number(), z.number()]),
  /** Seconds since the machine started. */
  uptime: z.number().nonnegative(),
})
export type SystemStats = z.output<typeof stats>

export const system = {
  stats: read.route({ method: 'GET', path: '/system/stats', summary: 'Load of this machine' }).output(stats),
  logs: read
    .meta({ role: 'operator' })
    .route({ method: 'GET', path: '/logs', summary: 'The last lines of a log that fit, oldest first' })
    .input(
      z.strictObject({
        /** xray: its log. output: what it printed at its last start. */
        source: z.enum(['xray', 'output']).default('xray'),
        lines: wholeNumber.pipe(z.number().min(1).max(1_000)).default(50),
        /** This level and worse. A line without one fits always: it may be a crash's. */
        level: z.enum(logLevels).optional(),
        /** Part of the line, in upper or lower case alike. */
        contains: z.string().min(1).max(200).optional(),
      }),
    )
    .output(z.array(z.string())),
  tail: read
    .meta({ role: 'operator' })
    .route({
      method: 'GET',
      path: '/logs/tail',
      summary: 'The last lines of a log, then those that come; an event stream',
    })
    .input(tailInput)
    .output(tailEvents),
}

const xrayState = z.object({ running: z.boolean(), pid: z.number().int().positive().nullable() })

export const xray = {
  start: command.route({ method: 'POST', path: '/xray/start', summary: 'Start Xray' }).output(xrayState),
  stop: command
    .meta({ role: 'admin' })
    .route({ method: 'POST', path: '/xray/stop', summary: 'Stop Xray: every connection ends' })
    .output(xrayState),
  restart: command
    .route({ method: 'POST', path: '/xray/restart', summary: 'Restart Xray: every connection ends once' })
    .output(xrayState),
  version: read
    .route({ method: 'GET', path: '/xray/version', summary: 'Version of the Xray binary' })
    .output(z.object({ version: z.string() })),
  config: read
    .meta({ role: 'admin' })
    .route({ method: 'GET', path: '/xray/config', summary: "Xray's configuration as it is rendered now" })
    .input(z.strictObject({ reveal: trueOrFalse.default(false) }))
    .output(z.object({ config: z.record(z.string(), z.unknown()) })),
}
