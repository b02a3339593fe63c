/**
 * The journal: every change as a row before it is sent, and what became of it. It is the queue, the outbox and the
 * audit log in one. Synchronous; whoever needs several steps at once wraps them in a transaction.
 */
import type { FleetError } from '#src/errors.ts'
import { DAY_MS, type Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { Actor, TaskStatus } from '#src/store/schema.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { chainHash } from './journal-chain.ts'
import { type RawTask, type TaskRow, errorJson, toRow } from './journal-rows.ts'
import type { Switch } from './retry.ts'
import { type SecretField, putSecrets, takeSecrets } from './secret-fields.ts'
import type { TaskView } from './types.ts'

export interface NewTask {
  id: string
  batch: string
  serverId: number
  operation: string
  /** Whole; the secrets are taken out here. */
  input: unknown
  /** Dotted paths of the secret fields. */
  secretPaths: readonly string[]
  actor: Actor
  status: TaskStatus
  error: FleetError | null
  nextAttemptAt: number
  expiresAt: number
}

const OPEN = `status in ('pending', 'running')`
/** A failed change can be tried again with its input, so that is kept as long as a pending one would have been. */
const KEEP_SECRETS_MS = 7 * DAY_MS

const columns = `t.id, t.seq, t.batch, t.server_id as serverId, coalesce(s.name, '#' || t.server_id) as serverName,
  t.operation, t.input, t.secrets, t.actor, t.status, t.attempts, t.next_attempt_at as nextAttemptAt,
  t.expires_at as expiresAt, t.error, t.created_at as createdAt, t.finished_at as finishedAt`
const from = 'from server_tasks t left join servers s on s.id = t.server_id'

export type { TaskRow }

export type Journal = ReturnType<typeof createJournal>

export function createJournal(deps: {
  sqlite: Sqlite
  box: SecretBox
  runtime: Pick<Runtime, 'now' | 'uuid'>
}) {
  const { sqlite, box, runtime } = deps
  const last = sqlite.prepare('select seq, hash from server_tasks order by seq desc limit 1')
  const insert = sqlite.prepare(
    `insert into server_tasks (id, seq, batch, server_id, operation, input, secrets, actor, status, next_attempt_at,
       expires_at, error, created_at, finished_at, hash)
     values (@id, @seq, @batch, @serverId, @operation, @input, @secrets, @actor, @status, @nextAttemptAt,
       @expiresAt, @error, @createdAt, @finishedAt, @hash)`,
  )
  const byId = sqlite.prepare(`select ${columns} ${from} where t.id = ?`)
  const byBatch = sqlite.prepare(`select ${columns} ${from} where t.batch = ? order by t.seq`)
  const firstOpen = sqlite.prepare(
    `select ${columns} ${from} where t.server_id = ? and t.${OPEN} order by t.seq limit 1`,
  )
  const allOpen = sqlite.prepare(
    `select ${columns} ${from} where t.server_id = ? and t.${OPEN} order by t.seq`,
  )
  const openOf = sqlite.prepare(
    `select ${columns} ${from} where t.operation in (select value from json_each(?)) and t.${OPEN} order by t.seq`,
  )
  // A mirror says since when it is true; in the same ms it may still have been asked before.
  const unseen = sqlite.prepare(
    `select ${columns} ${from} left join sync_states m on m.server_id = t.server_id
     where t.operation = ? and t.status = 'applied' and t.finished_at >= coalesce(m.synced_at, 0)
       and s.kind <> 'local' order by t.seq`,
  )
  const claim = sqlite.prepare(
    `update server_tasks set status = 'running', attempts = attempts + 1 where id = ? and ${OPEN}`,
  )
  const settle = sqlite.prepare(
    `update server_tasks set status = @status, error = @error, finished_at = @finishedAt,
       next_attempt_at = coalesce(@nextAttemptAt, next_attempt_at),
       secrets = case when @keepSecrets = 1 then secrets else null end
     where id = @id and ${OPEN}`,
  )
  const recover = sqlite.prepare(
    `update server_tasks set status = 'pending', error = null, next_attempt_at = ? where ${OPEN} and status = 'running'`,
  )
  const serversWithOpen = sqlite.prepare(`select distinct server_id from server_tasks where ${OPEN}`).pluck()
  const switches = sqlite.prepare(
    `select input ->> '$.enabled' as enabled, created_at as at from server_tasks
     where seq > ? and server_id = ? and operation = 'servers.enable' order by seq`,
  )
  const forgetSecrets = sqlite.prepare('update server_tasks set secrets = null where id = ?')
  const forgetServer = sqlite.prepare(
    'update server_tasks set secrets = null where server_id = ? and secrets is not null',
  )
  const forgetOld = sqlite.prepare(
    `update server_tasks set secrets = null where secrets is not null and finished_at < ?`,
  )

  const place = (id: string): string => `server_tasks:${id}:secrets`
  const row = (raw: unknown): TaskRow | undefined => (raw === undefined ? undefined : toRow(raw as RawTask))
  const rows = (raws: unknown[]): TaskRow[] => raws.map((raw) => toRow(raw as RawTask))

  /** Adds one row at the end of the chain. Inside a transaction of the caller. */
  function append(task: NewTask): void {
    const end = last.get() as { seq: number; hash: string } | undefined
    const now = runtime.now()
    const { open, secrets } = takeSecrets(task.input ?? null, task.secretPaths)
    const final = task.status !== 'pending'
    const fields = {
      seq: (end?.seq ?? 0) + 1,
      id: task.id,
      batch: task.batch,
      serverId: task.serverId,
      operation: task.operation,
      createdAt: now,
      expiresAt: task.expiresAt,
    }
    // As it will be read back, so that verifying hashes the same value.
    const input = JSON.stringify(open)
    const actor = JSON.stringify(task.actor)
    const keep = secrets.length > 0 && (!final || retryable(task.status))
    insert.run({
      ...fields,
      input,
      actor,
      secrets: keep ? box.seal(JSON.stringify(secrets), place(task.id)) : null,
      status: task.status,
      nextAttemptAt: task.nextAttemptAt,
      error: errorJson(task.error),
      finishedAt: final ? now : null,
      hash: chainHash(end?.hash ?? '', { ...fields, input: JSON.parse(input), actor: JSON.parse(actor) }),
    })
  }

  return {
    append,

    /** A change the fleet makes in its own rows: on record in the same transaction, applied by it. */
    record(serverId: number, operation: string, input: unknown, actor: Actor): void {
      const [id, batch, now] = [runtime.uuid(), runtime.uuid(), runtime.now()]
      append({
        id,
        batch,
        serverId,
        operation,
        input,
        secretPaths: [],
        actor,
        status: 'applied',
        error: null,
        nextAttemptAt: now,
        expiresAt: now,
      })
    },

    get: (id: string) => row(byId.get(id)),
    batch: (batch: string) => rows(byBatch.all(batch)),
    nextOpen: (serverId: number) => row(firstOpen.get(serverId)),
    open: (serverId: number) => rows(allOpen.all(serverId)),
    /** Open tasks of these operations, on any server, oldest first. */
    openOf: (...operations: string[]) => rows(openOf.all(JSON.stringify(operations))),
    /** Carried out, and their server's mirror may not show it. A walk over the whole journal. */
    unseen: (operation: string) => rows(unseen.all(operation)),
    /** How a server was switched off and on since the task `seq`. A walk over the journal from there. */
    switches: (serverId: number, seq: number): Switch[] =>
      (switches.all(seq, serverId) as { enabled: number; at: number }[]).map(({ enabled, at }) => ({
        enabled: enabled === 1,
        at,
      })),
    serversWithOpen: () => serversWithOpen.all() as number[],

    /** The input as it was asked for, secrets included. */
    input(task: TaskRow): unknown {
      if (task.secrets === null) return task.input
      return putSecrets(task.input, JSON.parse(box.open(task.secrets, place(task.id))) as SecretField[])
    },

    /** Marks a task as being sent. @returns undefined when it is not open any more */
    claim(id: string): TaskRow | undefined {
      return claim.run(id).changes === 0 ? undefined : row(byId.get(id))
    },

    /** What became of a task. @returns undefined when it is not open any more */
    settle(id: string, to: { status: TaskStatus; error: FleetError | null; nextAttemptAt?: number }) {
      const pending = to.status === 'pending'
      const { changes } = settle.run({
        id,
        status: to.status,
        error: errorJson(to.error),
        finishedAt: pending ? null : runtime.now(),
        nextAttemptAt: to.nextAttemptAt ?? null,
        keepSecrets: pending || retryable(to.status) ? 1 : 0,
      })
      return changes === 0 ? undefined : row(byId.get(id))
    },

    /** After a start: what was in flight is sent again under its key. */
    recover: () => recover.run(runtime.now()),
    /** Whether a failed task's whole input is still at hand. */
    canRetry: (task: TaskRow): boolean =>
      retryable(task.status) && (task.finishedAt ?? 0) >= runtime.now() - KEEP_SECRETS_MS,
    forgetSecrets: (id: string) => forgetSecrets.run(id),
    forgetServer: (serverId: number) => forgetServer.run(serverId),
    forgetOldSecrets: () => forgetOld.run(runtime.now() - KEEP_SECRETS_MS),
  }
}

/** What may be asked for once more, and so needs its input. */
function retryable(status: TaskStatus): boolean {
  return status === 'failed' || status === 'expired'
}

export function isFinal(status: TaskStatus): boolean {
  return status !== 'pending' && status !== 'running'
}

/** A row as it may be shown. */
export function toView(task: TaskRow): TaskView {
  const {
    id,
    batch,
    serverId,
    serverName,
    operation,
    input,
    status,
    attempts,
    error,
    createdAt,
    finishedAt,
  } = task
  return { id, batch, serverId, serverName, operation, input, status, attempts, error, createdAt, finishedAt }
}
