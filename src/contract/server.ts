import { z } from 'zod'
import { read } from './meta.ts'
import { timestamp } from './primitives.ts'

/** Where a node's change log stands. A new value tells a mirror that there is something to fetch. */
export const position = {
  /** Names one run of this node: a new one makes every mirror start afresh, since its database may be another. */
  epoch: z.string(),
  /** Moves with every change of inbounds and clients, traffic excluded. */
  changeSeq: z.number().int().nonnegative(),
  /** Moves with every change of a traffic counter. */
  trafficSeq: z.number().int().nonnegative(),
}

export const health = z.object({
  /** error: reached, but Xray is down or its configuration was refused. */
  status: z.enum(['online', 'error']),
  xrayRunning: z.boolean(),
  agentVersion: z.string(),
  xrayVersion: z.string().nullable(),
  lastError: z.string().nullable(),
  ...position,
  /** This node's clock, so that a wrong one is noticed. */
  time: timestamp,
})
export type Health = z.output<typeof health>

export const info = z.object({
  hostname: z.string(),
  agentVersion: z.string(),
  xrayVersion: z.string().nullable(),
  os: z.string(),
  arch: z.string(),
  kernel: z.string(),
  /** Seconds since the machine started. */
  uptime: z.number().nonnegative(),
  epoch: z.string(),
})
export type ServerInfo = z.output<typeof info>

export const server = {
  info: read.route({ method: 'GET', path: '/info', summary: 'What this server is' }).output(info),
  health: read.route({ method: 'GET', path: '/health', summary: 'How this server is' }).output(health),
}
