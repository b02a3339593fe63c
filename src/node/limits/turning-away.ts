/**
 * Takes clients who are over a limit out of the running Xray while the rows cannot say so yet: a long change is under
 * way, or the disk is full. The rows follow with the next look at limits that comes through.
 */
import type { Protocol } from '#src/contract/index.ts'
import type { Log } from '#src/log.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { takesUsersWhileRunning } from '#src/xray/config/account.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import { xrayName } from '#src/xray/config/user-name.ts'
import { blockReason } from './limits.ts'

export interface TurningAwayDeps {
  db: Sqlite
  api: Pick<XrayApi, 'removeUsers'>
  /** What clients have moved that is not on record, by their keys, bytes. */
  unread: () => Promise<ReadonlyMap<string, number>>
  /** Xray may differ from the rows: it is to be compared with them. */
  suspect: () => void
  now: () => number
  log: Log
}

interface LetIn {
  id: number
  email: string
  key: string
  limitBytes: number | null
  expiresAt: number | null
  nextResetAt: number | null
  bytes: number
}

const S = LOCAL_SERVER_ID

export function createTurningAway({ db, api, unread, suspect, now, log }: TurningAwayDeps) {
  const letIn = db.prepare(
    `select c.id, email, email_key as key, limit_bytes as limitBytes, expires_at as expiresAt,
       next_reset_at as nextResetAt, coalesce(up + down - reset_up - reset_down, 0) as bytes
     from clients c left join client_traffics t on t.server_id = c.server_id and t.client_id = c.id
     where c.server_id = ${S} and enabled = 1 and blocked is null
       and (expires_at <= @now or limit_bytes is not null)`,
  )
  const isLetIn = db
    .prepare(`select 1 from clients where server_id = ${S} and id = ? and enabled = 1 and blocked is null`)
    .pluck()
  const openTo = db.prepare(
    `select i.id, tag, protocol from client_inbounds p
     join inbounds i on i.server_id = p.server_id and i.id = p.inbound_id
     where p.server_id = ${S} and client_id = ? and enabled = 1 and blocked is null`,
  )
  /** Ids of those whom the rows let in and Xray does not. */
  const away = new Set<number>()

  function over(more: ReadonlyMap<string, number>): LetIn[] {
    const time = now()
    return (letIn.all({ now: time }) as LetIn[]).filter((row) => {
      // Their count begins anew with the next look.
      const isDue = row.nextResetAt !== null && row.nextResetAt <= time
      const bytes = isDue ? 0 : row.bytes + (more.get(row.key) ?? 0)
      return blockReason(row, { bytes, addresses: 0 }, time) !== null
    })
  }

  return {
    /**
     * Turns away whoever is over a limit by what Xray counts now. Needs neither the disk nor its turn among changes:
     * one that is under way may let them in again, and the next call takes them out. Never rejects.
     */
    async run(): Promise<void> {
      try {
        const namesIn = new Map<string, string[]>()
        for (const { id, email } of over(await unread())) {
          away.add(id)
          for (const inbound of openTo.all(id) as { id: number; tag: string; protocol: Protocol }[]) {
            // The others would have to be opened anew, which only a change may do.
            if (!takesUsersWhileRunning(inbound)) continue
            namesIn.set(inbound.tag, [...(namesIn.get(inbound.tag) ?? []), xrayName(email, inbound.id)])
          }
        }
        const told = await Promise.allSettled([...namesIn].map(([tag, names]) => api.removeUsers(tag, names)))
        const refusal = told.find((one) => one.status === 'rejected')
        if (refusal !== undefined) throw refusal.reason
      } catch (error) {
        log.warn({ error }, 'clients who are over a limit could not be turned away ahead of a change')
      }
    },

    /**
     * The rows can say again who is refused: whoever they let in all the same, as after a reset meanwhile, is to be
     * let in by Xray too.
     */
    settle(): void {
      if (away.size === 0) return
      const stillOver = new Set(over(new Map()).map(({ id }) => id))
      const settled = [...away].filter((id) => !stillOver.has(id))
      if (settled.some((id) => isLetIn.get(id) === 1)) suspect()
      for (const id of settled) away.delete(id)
    },
  }
}
