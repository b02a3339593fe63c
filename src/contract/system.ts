import { z } from 'zod'
import { logLevels, tailEvents, tailInput } from './log-tail.ts'
import { admin, command, read } from './meta.ts'
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

const xrayState = z.object({ running: z.boolean(), pid: z.number().int().positive().nullable() })
const minute = 60_000

/** As releases are numbered: 26.3.27, without a v. It becomes part of a path and of an address. */
const xrayVersion = z.string().regex(/^(?:0|[1-9]\d{0,3})(?:\.(?:0|[1-9]\d{0,3})){2}$/, 'write it as 26.3.27')

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
  updateGeoFiles: admin
    // Two files of some 20 MB, each by up to three minutes, and once more if a release comes out meanwhile.
    .meta({ timeout: 15 * minute })
    .route({
      method: 'POST',
      path: '/geofiles/update',
      summary: 'Fetch newer lists of addresses and domains for routing; no connection ends',
    })
    .output(
      z.object({
        files: z.array(
          z.object({
            name: z.enum(['geoip.dat', 'geosite.dat']),
            status: z.enum(['updated', 'unchanged']),
            size: bytes,
            sha256: z.string(),
          }),
        ),
        /** Xray reads them at its start only: its configuration uses them, and it has run since before they changed. */
        restartNeeded: z.boolean(),
      }),
    ),
  installXray: admin
    // A download of 15 MB by up to three minutes, a start that fails, and the start of the one before.
    .meta({ timeout: 10 * minute })
    .route({
      method: 'POST',
      path: '/xray/install/{version}',
      summary: 'Install a release of Xray and restart with it: every connection ends once',
    })
    .input(z.strictObject({ version: xrayVersion }))
    .output(xrayState.extend({ version: z.string(), before: z.string().nullable() })),
}

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
  versions: read
    .route({ method: 'GET', path: '/xray/versions', summary: 'Versions of Xray that are on this server' })
    .output(
      z.object({
        /** The environment of fleetgram names the Xray to run, so none can be installed. */
        pinned: z.boolean(),
        versions: z.array(
          z.object({
            version: z.string(),
            running: z.boolean(),
            /** The one that is started next. */
            chosen: z.boolean(),
          }),
        ),
      }),
    ),
  config: read
    .meta({ role: 'admin' })
    .route({ method: 'GET', path: '/xray/config', summary: "Xray's configuration as it is rendered now" })
    .input(z.strictObject({ reveal: trueOrFalse.default(false) }))
    .output(z.object({ config: z.record(z.string(), z.unknown()) })),
}
