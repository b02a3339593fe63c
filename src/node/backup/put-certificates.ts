/** Certificates of a backup: what is known to be deleted since stays away, and its private key with it. */
import type { Deleted, RestoredRows } from '#src/contract/index.ts'
import { LOCAL_SERVER_ID } from '#src/store/open.ts'
import { createDeletedCertificates } from '../certificates/rows.ts'
import { putDependent } from './put-dependent.ts'
import type { Context } from './put-entity.ts'
import type { Dependent, Raw } from './tables.ts'
import { createTally } from './tally.ts'

const S = LOCAL_SERVER_ID

/** @param sameLine whether what was deleted here is what the backup may hold */
export function putCertificates(
  context: Context & { trafficSeq: number },
  dependent: Dependent,
  { deleted, sameLine }: { deleted: Deleted; sameLine: boolean },
): RestoredRows {
  const { db } = context
  const gone = createDeletedCertificates(db)
  const told = new Map((deleted.certificates ?? []).map(({ domain, at = Infinity }) => [domain, at]))
  const isDeleted = (row: Raw): boolean => {
    const domain = String(row['domain'])
    if (Number(row['created_at']) < (told.get(domain) ?? -Infinity)) return true
    return sameLine && Number(row['updated_at']) <= (gone.at(domain) ?? -Infinity)
  }

  const held = db.prepare(`select domain from certificates where server_id = ${S}`).pluck()
  const before = held.all() as string[]
  const tally = createTally()
  const inBackup = new Set<string>()
  putDependent(context, dependent, {
    isDeleted,
    tell(row, outcome) {
      const domain = String(row['domain'])
      inBackup.add(domain)
      tally.add(outcome, () => domain)
      if (outcome === 'restored') gone.revive(domain)
    },
  })
  for (const domain of before) if (!inBackup.has(domain)) tally.add('kept', () => domain)
  return tally.rows
}
