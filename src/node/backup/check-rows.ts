/** Every row of a copy is looked at as if it had been asked for today. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import { certificate, certificateDomain } from '#src/contract/certificates.ts'
import { clientInput } from '#src/contract/index.ts'
import { email } from '#src/contract/primitives.ts'
import { routingDocument } from '#src/contract/routing.ts'
import { mirroredClient, mirroredInbound } from '#src/contract/sync.ts'
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { createCertificateRows, createDeletedCertificates } from '../certificates/rows.ts'
import { shown } from '../certificates/shown.ts'
import { createRoutingRow } from '../rows/routing-row.ts'
import { createRows, emailKey } from '../rows/rows.ts'
import { type CheckedCopy, counter, damaged, sound } from './check-copy.ts'
import { type Dependent, type Raw, dependents, entities } from './tables.ts'

/** So many rows are looked at before others get a turn. */
const ROWS_PER_TURN = 500

const tombstone = z.object({ kind: z.enum(['inbound', 'client']), id: counter.min(1) })
/** A file is named for it: spelled in another way it could lie anywhere. */
const isDomain = (text: string): boolean => certificateDomain.safeParse(text).data === text
const certificateRow = certificate.extend({ domain: z.string().refine(isDomain) })

/**
 * Looks at every inbound and client of a copy as if it had been asked for today: what stands in the file with a right
 * name in the wrong place, or cannot be opened, would otherwise stop a server that starts with it.
 * @param box opens what is sealed in the copy
 * @throws FleetError BACKUP_DAMAGED
 */
export async function checkRows({ db, position }: CheckedCopy, box: SecretBox): Promise<void> {
  const rows = createRows(db, box)
  const keyOf = db
    .prepare(`select email_key from clients where server_id = ${LOCAL_SERVER_ID} and id = ?`)
    .pluck()
  const row = z.object({ id: z.number().int().positive().lt(position.nextId) })
  const { uuid, subscriptionId } = clientInput.shape
  const client = mirroredClient.extend({ email, uuid, subscriptionId })
  const checks: Record<string, (id: number) => boolean> = {
    inbound: (id) => mirroredInbound.safeParse(rows.inbound(id)).success,
    client: (id) => {
      const found = client.safeParse(rows.client(id))
      return found.success && keyOf.get(id) === emailKey(found.data.email)
    },
  }
  for (const { table, kind } of entities) {
    const ids = db.prepare(`select id from ${table} where server_id = ${LOCAL_SERVER_ID}`).pluck().all()
    for (const [index, id] of ids.entries()) {
      if (index % ROWS_PER_TURN === 0) await nextTurn()
      const isRight = sound(() => row.safeParse({ id }).success && holds(() => checks[kind]?.(id as number)))
      if (!isRight) damaged(`${kind} ${String(id)} in it is not one`)
    }
  }
  const buried = db.prepare(`select kind, id from tombstones where server_id = ${LOCAL_SERVER_ID}`)
  for (const grave of sound(() => buried.all())) {
    if (!tombstone.safeParse(grave).success) damaged('it buries what never was')
  }
  const held = createCertificateRows(db, box).all
  for (const row of sound(held)) {
    if (!certificateRow.safeParse(shown(row, 0)).success) damaged('a certificate in it is not one')
  }
  const gone = createDeletedCertificates(db).all
  for (const { domain } of sound(gone)) {
    if (!isDomain(domain)) damaged('it buries what never was')
  }
  const routing = createRoutingRow(db, box)
  const isRight = sound(() => holds(() => routingDocument.safeParse(routing.read().document).success))
  if (!isRight) damaged('its routing rules are none')
  for (const dependent of dependents) {
    await nextTurn()
    sound(() => checkNumbers(db, dependent))
  }
}

/** Whether a row is right; one of a shape that nothing expects is not. What cannot be opened or read is for `sound`. */
function holds(check: () => boolean | undefined): boolean {
  try {
    return check() === true
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return false
    throw error
  }
}

/** What counts or tells a time is a whole number that JSON carries too, and no part is larger than its whole. */
function checkNumbers(db: Sqlite, { table, parts = {} }: Dependent): void {
  const all = db.prepare(`select * from ${table} where server_id = ${LOCAL_SERVER_ID}`)
  for (const row of all.iterate() as IterableIterator<Raw>) {
    const isWrong =
      Object.values(row).some(
        (value) => typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 0),
      ) || Object.entries(parts).some(([part, whole]) => Number(row[part]) > Number(row[whole]))
    if (isWrong) damaged(`a number in ${table} cannot be right`)
  }
}
