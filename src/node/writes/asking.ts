/** Of whom Xray is asked, in one look at limits, from where they are connected: each answer costs a call. */
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'
import { emailKey } from '../rows/rows.ts'

/**
 * Of those who have a limit of addresses: about 2 s (measured: 1,000 in 0.65 s), so that a look every 10 s keeps what
 * is promised of all other limits. More of them than that are asked about by turns.
 */
const MOST_LIMITED = 3_000
/** Of the others it is only noted where they are seen: that may be some minutes late. */
const MOST_OTHERS = 500

/** Who has had their turn. */
export type Asked = ReadonlySet<string>

/** Whose turn it is of those who are there: first who has not had one; when all have, it begins anew. Pure. */
export function nextTurn(
  there: readonly string[],
  asked: Asked,
  most: number,
): { chosen: string[]; asked: Asked } {
  const waiting = there.filter((one) => !asked.has(one)).slice(0, most)
  if (waiting.length === Math.min(most, there.length))
    return { chosen: waiting, asked: new Set([...there.filter((one) => asked.has(one)), ...waiting]) }
  const again = there.filter((one) => asked.has(one)).slice(0, most - waiting.length)
  return { chosen: [...waiting, ...again], asked: new Set([...waiting, ...again]) }
}

export function createAsking(db: Sqlite) {
  const limited = db
    .prepare(`select email_key from clients where server_id = ${LOCAL_SERVER_ID} and ip_limit is not null`)
    .pluck()
  let asked: { limited: Asked; others: Asked } = { limited: new Set(), others: new Set() }

  /** @param there everybody who is connected */
  return (there: readonly string[]): string[] => {
    if (there.length === 0) return []
    const haveLimit = new Set(limited.all() as string[])
    const limitedThere: string[] = []
    const othersThere: string[] = []
    for (const email of there) (haveLimit.has(emailKey(email)) ? limitedThere : othersThere).push(email)
    const first = nextTurn(limitedThere, asked.limited, MOST_LIMITED)
    const others = nextTurn(othersThere, asked.others, MOST_OTHERS)
    asked = { limited: first.asked, others: others.asked }
    return [...first.chosen, ...others.chosen]
  }
}
