import { z } from 'zod'
import { danger, read, write } from './meta.ts'
import { bytes, email, inboundRef, remark, timestamp } from './primitives.ts'

/** XTLS Vision, used in every inbound where it works (VLESS over raw with TLS or REALITY); empty: nowhere. */
export const flows = ['', 'xtls-rprx-vision'] as const

/** The name of a subscription: opaque, URL-safe, hard to guess. */
const subscriptionId = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/)

/**
 * A client as it is asked for. The credentials come with it: they are made once for the whole fleet, so that a
 * link exists before every server has been reached, and is the same client everywhere.
 */
export const clientInput = z.strictObject({
  email,
  uuid: z.uuid().toLowerCase(),
  subscriptionId,
  flow: z.enum(flows).default('xtls-rprx-vision'),
  enabled: z.boolean().default(true),
  comment: remark.default(''),
})
export type ClientInput = z.output<typeof clientInput>

export const client = z.object({
  id: z.number().int().positive(),
  email: z.string(),
  uuid: z.string(),
  subscriptionId: z.string(),
  flow: z.enum(flows),
  enabled: z.boolean(),
  comment: z.string(),
  /** Ids of the inbounds this client stands in. */
  inbounds: z.array(z.number().int().positive()),
  /** One share link per inbound, in the same order. */
  links: z.array(z.string()),
  /** Bytes since the last reset of this client's traffic. */
  up: bytes,
  down: bytes,
  rowVersion: z.number().int().positive(),
  createdAt: timestamp,
  updatedAt: timestamp,
})
export type Client = z.output<typeof client>

const byEmail = z.strictObject({ email })

export const clients = {
  add: write
    .meta({ secrets: ['clients.*.uuid', 'clients.*.subscriptionId'] })
    .route({
      method: 'POST',
      path: '/inbounds/{id}/clients',
      summary:
        'Add clients to an inbound; one that is on this server already, with these credentials, joins it too',
    })
    .input(z.strictObject({ id: inboundRef, clients: z.array(clientInput).min(1).max(5_000) }))
    .output(z.array(client)),
  update: write
    .meta({ secrets: ['uuid'] })
    .route({ method: 'PATCH', path: '/clients/{email}', summary: 'Change a client; what is left out stays' })
    .input(
      z.strictObject({
        email,
        rowVersion: z.number().int().positive().optional(),
        uuid: z.uuid().toLowerCase().optional(),
        flow: z.enum(flows).optional(),
        enabled: z.boolean().optional(),
        comment: remark.optional(),
      }),
    )
    .output(client),
  delete: danger
    .route({
      method: 'DELETE',
      path: '/clients/{email}',
      summary: 'Remove a client from every inbound of this server',
    })
    .input(byEmail)
    .output(z.object({ email: z.string() })),
  resetTraffic: write
    .route({
      method: 'POST',
      path: '/clients/{email}/reset-traffic',
      summary: 'Count this client from zero again; the lifetime counters stay',
    })
    .input(byEmail)
    .output(client),
  online: read
    .route({ method: 'GET', path: '/clients/online', summary: 'Who is connected now, and from where' })
    .output(
      z.array(
        z.object({
          email: z.string(),
          /** When the oldest of the present connections was last seen, as Xray tells it. */
          since: timestamp,
          addresses: z.array(z.string()),
        }),
      ),
    ),
}
