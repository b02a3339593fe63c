import { z } from 'zod'
import { client } from './clients.ts'
import { nodeEvents } from './events.ts'
import { inboundFields, withProtocol } from './inbounds.ts'
import { read } from './meta.ts'
import { bytes, wholeNumber } from './primitives.ts'
import { position } from './server.ts'

const id = z.number().int().positive()
const counters = { up: bytes, down: bytes }

/** Rows as a mirror keeps them: traffic and links apart, since those move or follow on their own. */
export const mirroredInbound = withProtocol({
  ...inboundFields,
  /** What stands in links beside the settings: the key of a Shadowsocks server, the password of an obfuscation. */
  linkSecrets: z.record(z.string(), z.string()).default({}),
})
export const mirroredClient = client.omit({ up: true, down: true, links: true, lastActiveAt: true })
export type MirroredInbound = z.output<typeof mirroredInbound>
export type MirroredClient = z.output<typeof mirroredClient>

export const changes = z.object({
  ...position,
  /** The whole state, because the caller's epoch is another one: whatever is not in here is gone. */
  full: z.boolean(),
  inbounds: z.array(mirroredInbound),
  clients: z.array(mirroredClient),
  deleted: z.array(z.object({ kind: z.enum(['inbound', 'client']), id })),
  traffic: z.object({
    /** Lifetime bytes, and how much of them lies before the last reset. */
    clients: z.array(z.object({ id, ...counters, resetUp: bytes, resetDown: bytes })),
    inbounds: z.array(z.object({ id, ...counters, resetUp: bytes.default(0), resetDown: bytes.default(0) })),
    outbounds: z.array(z.object({ tag: z.string(), ...counters })),
  }),
})
export type Changes = z.output<typeof changes>

export const sync = {
  changes: read
    .meta({ role: 'owner', timeout: 60_000 })
    .route({
      method: 'GET',
      path: '/changes',
      summary: 'Rows that changed since a position, with what was deleted; the whole state for another epoch',
    })
    .input(
      z.strictObject({
        epoch: z.string().max(64).default(''),
        since: wholeNumber.default(0),
        trafficSince: wholeNumber.default(0),
      }),
    )
    .output(changes),
  events: read
    .meta({ role: 'operator' })
    .route({
      method: 'GET',
      path: '/events',
      summary:
        'What happens here, as it happens; an event stream. With Last-Event-ID it goes on where it was cut',
    })
    .input(
      z.strictObject({
        /** Goes on after this event; without an epoch, from now on. */
        epoch: z.string().max(64).default(''),
        after: wholeNumber.default(0),
      }),
    )
    .output(nodeEvents),
}
