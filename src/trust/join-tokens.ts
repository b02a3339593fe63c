import { createHash } from 'node:crypto'
import { fail } from '#src/errors.ts'
import { DAY_MS, randomId, type Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { type Address, formatAddress, parseAddress } from './address.ts'
import type { Ca, Leaf } from './ca.ts'
import type { Identities } from './identities.ts'
import { isSameText } from './same-text.ts'

/** Long enough to walk to a terminal, short enough that a token in a chat's history is worth nothing. */
export const JOIN_TOKEN_LIFE_MS = 15 * 60 * 1000
/** What has expired is kept for a day, so that a late machine hears "expired" rather than "unknown". */
const KEPT_MS = DAY_MS

/** What a join token says. */
export interface JoinToken {
  /** Where the controller is. */
  controller: Address
  /** SHA-256 of the public key of the controller's CA, base64url: checked before the secret is sent. */
  pin: string
  id: string
  secret: string
}

/**
 * Makes a permission to join as this server: once, within 15 minutes.
 * @param controllerAddress where the controller's gateway is seen from the outside
 * @returns the token `fg1.<host:port>.<pin>.<id>.<secret>`, and when it expires (ms)
 */
export function createJoinToken(options: {
  db: Sqlite
  runtime: Pick<Runtime, 'now' | 'randomBytes'>
  ca: Pick<Ca, 'spkiHash'>
  controllerAddress: Address
  serverId: number
}): { token: string; expiresAt: number } {
  const { db, runtime, ca, controllerAddress, serverId } = options
  const now = runtime.now()
  const expiresAt = now + JOIN_TOKEN_LIFE_MS
  const id = randomId(runtime, 96)
  const secret = randomId(runtime, 256)
  db.prepare('delete from join_tokens where expires_at < ?').run(now - KEPT_MS)
  db.prepare(
    'insert into join_tokens (id, server_id, secret_hash, created_at, expires_at) values (?, ?, ?, ?, ?)',
  ).run(id, serverId, hashSecret(secret), now, expiresAt)
  return { token: ['fg1', formatAddress(controllerAddress), ca.spkiHash, id, secret].join('.'), expiresAt }
}

/** @throws FleetError JOIN_TOKEN_INVALID, with a reason that shows nothing of the secret */
export function parseJoinToken(text: string): JoinToken {
  const parts = text.trim().split('.')
  if (parts[0] !== 'fg1') fail('JOIN_TOKEN_INVALID', { reason: 'it does not begin with fg1' })
  if (parts.length < 5) fail('JOIN_TOKEN_INVALID', { reason: 'a part of it is missing' })
  // From the end, since the address has dots of its own.
  const [pin = '', id = '', secret = ''] = parts.slice(-3)
  const controller = parseAddress(parts.slice(1, -3).join('.'))
  if (controller === undefined || controller.port === 0) {
    fail('JOIN_TOKEN_INVALID', { reason: "the controller's address in it is not host:port" })
  }
  if (!/^[\w-]{43}$/.test(pin)) fail('JOIN_TOKEN_INVALID', { reason: 'the pin in it is not complete' })
  if (!/^[\w-]{16}$/.test(id)) fail('JOIN_TOKEN_INVALID', { reason: 'the id in it is not complete' })
  if (!/^[\w-]{43}$/.test(secret)) fail('JOIN_TOKEN_INVALID', { reason: 'its end is missing or too long' })
  return { controller, pin, id, secret }
}

interface TokenRow {
  server_id: number
  secret_hash: string
  expires_at: number
  used_at: number | null
}

/**
 * Turns a token into an identity. The same token with the same key may be shown again within its life, as its bearer
 * may never have got the answer.
 * @param also runs in the transaction that uses the token up
 * @throws FleetError JOIN_TOKEN_WRONG, JOIN_TOKEN_EXPIRED, JOIN_TOKEN_USED, JOIN_KEY_REFUSED, BAD_INPUT (the request)
 */
export async function redeemJoinToken(
  deps: { db: Sqlite; runtime: Pick<Runtime, 'now'>; ca: Ca; identities: Identities },
  request: { id: string; secret: string; csr: string; as?: number | undefined },
  also: (serverId: number) => void,
): Promise<{ serverId: number; leaf: Leaf }> {
  const { db, runtime, ca, identities } = deps
  const find = db.prepare('select server_id, secret_hash, expires_at, used_at from join_tokens where id = ?')
  const use = db.prepare('update join_tokens set used_at = coalesce(used_at, ?) where id = ?')
  const expireOthers = db.prepare(
    'update join_tokens set expires_at = min(expires_at, ?) where server_id = ? and id <> ? and used_at is null',
  )

  const check = (): TokenRow => {
    const row = find.get(request.id) as TokenRow | undefined
    // Compared also where there is nothing to compare with: the time taken tells no ids.
    const right = isSameText(hashSecret(request.secret), row?.secret_hash ?? hashSecret(''))
    if (row === undefined || !right) fail('JOIN_TOKEN_WRONG')
    if (row.expires_at <= runtime.now()) fail('JOIN_TOKEN_EXPIRED')
    if (request.as !== undefined && request.as !== row.server_id) {
      const reason = `it is that of server ${request.as}, and the token is for server ${row.server_id}`
      fail('JOIN_KEY_REFUSED', { reason, file: 'agent.key' })
    }
    return row
  }

  const { server_id: serverId } = check()
  const leaf = await ca.issueServerLeaf(request.csr, serverId)
  db.transaction(() => {
    // Again, since another request may have come between.
    const row = check()
    if (row.used_at !== null && !identities.isAllowed(leaf.spkiHash, serverId)) fail('JOIN_TOKEN_USED')
    if (!identities.admit({ ...leaf, serverId })) {
      fail('JOIN_KEY_REFUSED', { reason: 'it was revoked, or belongs to another server', file: 'agent.key' })
    }
    use.run(runtime.now(), request.id)
    // A command that was given out before and forgotten must not put another machine in this one's place.
    expireOthers.run(runtime.now(), serverId, request.id)
    also(serverId)
  }).immediate()
  return { serverId, leaf }
}

function hashSecret(secret: string): string {
  // A plain hash: the secret has 256 random bits, so there is nothing to guess.
  return createHash('sha256').update(secret).digest('base64url')
}
