import { createHash } from 'node:crypto'
import { canonicalJson } from '#src/node/rows/canonical.ts'
import type { Sqlite } from '#src/store/open.ts'

/** What of a journal row never changes, and so stands under its hash. */
export interface ChainedFields {
  seq: number
  id: string
  batch: string
  serverId: number
  operation: string
  input: unknown
  actor: unknown
  createdAt: number
  expiresAt: number
}

/** The hash of a row: SHA-256 over the hash of the row before ('' for the first) and this row's unchanging fields. */
export function chainHash(previous: string, fields: ChainedFields): string {
  return createHash('sha256').update(previous).update('\n').update(canonicalJson(fields)).digest('base64url')
}

export type ChainState =
  | { intact: true; rows: number; /** Posted elsewhere, it shows a cut-off end too. */ head: string }
  | { intact: false; /** The first row that does not follow from the one before. */ seq: number }

/** Walks the whole journal. A changed, inserted or missing row breaks every hash after it. */
export function verifyChain(sqlite: Sqlite): ChainState {
  const rows = sqlite
    .prepare(
      `select seq, id, batch, server_id as serverId, operation, input, actor, created_at as createdAt,
         expires_at as expiresAt, hash from server_tasks order by seq`,
    )
    .iterate() as IterableIterator<ChainedFields & { input: string; actor: string; hash: string }>
  let head = ''
  let count = 0
  for (const { hash, ...fields } of rows) {
    const input = parsed(fields.input)
    const actor = parsed(fields.actor)
    if (chainHash(head, { ...fields, input, actor }) !== hash) return { intact: false, seq: fields.seq }
    head = hash
    count++
  }
  return { intact: true, rows: count, head }
}

/** Text that is no JSON any more has been tampered with: it stays text, and its hash will not match. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
