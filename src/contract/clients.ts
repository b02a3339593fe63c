import { z } from 'zod'
import { danger, read, write } from './meta.ts'
import { blockReasons, limitBytes } from './inbounds.ts'
import { bytes, email, inboundRef, remark, timestamp } from './primitives.ts'

/** XTLS Vision, used in every inbound where it works (VLESS over raw with TLS or REALITY); empty: nowhere. */
export const flows = ['', 'xtls-rprx-vision'] as const

/** The name of a subscription: opaque, URL-safe, hard to guess. */
const subscriptionId = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/)

/**
 * For protocols that know a password rather than an id. Shadowsocks 2022 and WireGuard derive their keys from it, so one
 * secret serves all.
 */
const password = z.string().regex(/^[A-Za-z0-9_=+/.-]{8,128}$/, '8 to 128 letters, digits or _=+/.-')

/** What a client may use. null: as much as it likes. Its server sees to it, also with the controller away. */
const limits = {
  /** Bytes in both directions together, since the count last began anew. */
  limitBytes,
  expiresAt: timestamp.nullable(),
  /** Days from its first use on; `expiresAt` says when that ends once it has begun. */
  lastsDays: z.number().int().min(1).max(3_650).nullable(),
  /** Every so many days its count begins anew. */
  resetDays: z.number().int().min(1).max(366).nullable(),
  /** From how many addresses at once. */
  ipLimit: z.number().int().min(1).max(1_000).nullable(),
  /** The Telegram user it belongs to. */
  telegramId: z
    .number()
    .int()
    .positive()
    .max(2 ** 52)
    .nullable(),
}

/**
 * A client as it is asked for. The credentials come with it: they are made once for the whole fleet, so that a
 * link exists before every server has been reached, and is the same client everywhere.
 */
export const clientInput = z.strictObject({
  email,
  uuid: z.uuid().toLowerCase(),
  /** Left out, it is the uuid. */
  password: password.optional(),
  subscriptionId,
  flow: z.enum(flows).default('xtls-rprx-vision'),
  enabled: z.boolean().default(true),
  comment: remark.default(''),
  limitBytes: limits.limitBytes.default(null),
  expiresAt: limits.expiresAt.default(null),
  lastsDays: limits.lastsDays.default(null),
  resetDays: limits.resetDays.default(null),
  ipLimit: limits.ipLimit.default(null),
  telegramId: limits.telegramId.default(null),
})
export type ClientInput = z.output<typeof clientInput>

export const client = z.object({
  id: z.number().int().positive(),
  email: z.string(),
  uuid: z.string(),
  password: z.string(),
  subscriptionId: z.string(),
  flow: z.enum(flows),
  enabled: z.boolean(),
  comment: z.string(),
  ...limits,
  /** Why it is refused though it is enabled; null: it is let in. */
  blocked: z.enum(blockReasons).nullable(),
  /** When it was first used; null: never yet. */
  startedAt: timestamp.nullable(),
  /** When its count begins anew the next time; null: never. */
  nextResetAt: timestamp.nullable(),
  /** Ids of the inbounds this client stands in. */
  inbounds: z.array(z.number().int().positive()),
  /** One share link per inbound, in the same order. */
  links: z.array(z.string()),
  /** Bytes since the last reset of this client's traffic. */
  up: bytes,
  down: bytes,
  /** When it last moved a byte; null: never yet. */
  lastActiveAt: timestamp.nullable(),
  rowVersion: z.number().int().positive(),
  createdAt: timestamp,
  updatedAt: timestamp,
})
export type Client = z.output<typeof client>

/** What of a client can be changed; what is left out stays. */
const clientChanges = {
  uuid: z.uuid().toLowerCase().optional(),
  password: password.optional(),
  flow: z.enum(flows).optional(),
  enabled: z.boolean().optional(),
  comment: remark.optional(),
  limitBytes: limits.limitBytes.optional(),
  /** Given, it takes the place of `lastsDays`. */
  expiresAt: limits.expiresAt.optional(),
  /** Given, the days begin with the next use. */
  lastsDays: limits.lastsDays.optional(),
  resetDays: limits.resetDays.optional(),
  ipLimit: limits.ipLimit.optional(),
  telegramId: limits.telegramId.optional(),
}

const byEmail = z.strictObject({ email })

export const clients = {
  add: write
    .meta({ secrets: ['clients.*.uuid', 'clients.*.password', 'clients.*.subscriptionId'] })
    .route({
      method: 'POST',
      path: '/inbounds/{id}/clients',
      summary:
        'Add clients to an inbound; one that is on this server already, with these credentials, joins it too',
    })
    .input(z.strictObject({ id: inboundRef, clients: z.array(clientInput).min(1).max(5_000) }))
    .output(z.array(client)),
  update: write
    .meta({ secrets: ['uuid', 'password'] })
    .route({ method: 'PATCH', path: '/clients/{email}', summary: 'Change a client; what is left out stays' })
    .input(
      z.strictObject({
        email,
        rowVersion: z.number().int().positive().optional(),
        ...clientChanges,
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
  deleteMany: danger
    .meta({ timeout: 60_000 })
    .route({
      method: 'POST',
      path: '/clients/delete',
      summary: 'Remove many clients in one step; names that are not here are passed over',
    })
    .input(z.strictObject({ emails: z.array(email).min(1).max(5_000) }))
    .output(z.object({ emails: z.array(z.string()) })),
  resetTraffic: write
    .route({
      method: 'POST',
      path: '/clients/{email}/reset-traffic',
      summary: 'Count this client from zero again; the lifetime counters stay',
    })
    .input(byEmail)
    .output(client),
  addresses: read
    .meta({ role: 'operator' })
    .route({
      method: 'GET',
      path: '/clients/{email}/addresses',
      summary: 'From where a client has come in the last 30 days, the latest first',
    })
    .input(byEmail)
    .output(z.array(z.object({ address: z.string(), firstSeenAt: timestamp, lastSeenAt: timestamp }))),
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
