/**
 * Keeps the limits of clients and inbounds, with nobody watching: after every reading of the counters all limits are
 * looked at, and what changes goes the way of every change, in one step.
 */
import { toFleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { type Online, countPlaces, createAddressBook } from './addresses.ts'
import { createAsking } from '../writes/asking.ts'
import type { PublishLimit } from './limit-events.ts'
import { type Limited, type LimitedAfter, createLimitRows } from './limit-rows.ts'
import { judgeClient, judgeInbound } from './limits.ts'
import { type Standing, createNearnessWatch } from './nearness.ts'
import type { PositionStore } from '../rows/position.ts'
import { emailKey } from '../rows/rows.ts'
import type { Writes } from '../writes/writes.ts'

export interface EnforceDeps {
  db: Sqlite
  writes: Writes
  position: PositionStore
  /** Who is connected now, and from where those are whom `choose` chooses; null: Xray does not tell. */
  online: (choose: (emails: readonly string[]) => readonly string[]) => Promise<Online | null>
  publish: PublishLimit
  /** Whether it may be much later than the time says. */
  mayBeLater: () => boolean
  runtime: Runtime
  log: Log
}

/** A row as it is, and as it is to be. */
interface Judged {
  before: Limited
  after: LimitedAfter
}

/** None that can be asked for. */
const OPERATION = 'limits.enforce'

/** So many rows change in one step at most: everybody's count beginning anew must not keep other changes waiting. */
const MOST_AT_ONCE = 500

export function createEnforcement(deps: EnforceDeps) {
  const { db, writes, position, publish, runtime, log } = deps
  const rows = createLimitRows(db, position)
  const near = createNearnessWatch(db)
  const addresses = createAddressBook(db)
  const whomToAsk = createAsking(db)
  // Nobody asks for their outcomes, and one may be made with every reading. Others may choose keys that begin alike.
  const forgetPast = db.prepare(
    `delete from applied_tasks where operation = '${OPERATION}' and key >= 'limits:' and key < 'limits;'
       and status <> 'applying'`,
  )
  let failure = ''

  /** Whoever was not asked about is as they were. */
  function judge(online: Online | null): Judged[] {
    const now = runtime.now()
    const isUncertain = deps.mayBeLater()
    const places = new Map(
      online?.map(({ email, ips }) => [emailKey(email), ips && countPlaces(ips.map(({ ip }) => ip))]),
    )
    const placesOf = (email: string): number | null => {
      const count = places.get(emailKey(email))
      return count === undefined && online !== null ? 0 : (count ?? null)
    }
    const crowded = [...places].filter(([, count]) => count !== null && count > 1).map(([key]) => key)
    return rows.read(now, crowded).map((before) => {
      if (before.of === 'inbound') return { before, after: judgeInbound(before, before.bytes, now) }
      const { bytes, name } = before
      // Days that begin must not be over by the time it is known how late it is.
      const isUsed = before.isUsed && !isUncertain
      return { before, after: judgeClient(before, { bytes, isUsed, addresses: placesOf(name) }, now) }
    })
  }

  /** Makes what of this has to change as it is to be. Judged anew when its turn has come: it may have changed. */
  async function change(online: Online | null, isMeant: (row: Limited) => boolean): Promise<void> {
    await writes.run({
      operation: OPERATION,
      input: null,
      call: { idempotencyKey: `limits:${runtime.uuid()}` },
      plan: async () => {
        const changes = judge(online)
          .filter((judged) => isChange(judged) && isMeant(judged.before))
          .slice(0, MOST_AT_ONCE)
        // Xray is told of those alone that are refused or let in. What else changes is nothing it could refuse.
        const turned = changes.filter(({ before, after }) => before.blocked !== after.blocked)
        const idsOf = (of: Limited['of']): number[] =>
          turned.filter(({ before }) => before.of === of).map(({ before }) => before.id)
        const scope = { inbounds: idsOf('inbound'), clients: idsOf('client') }
        return {
          before: scope,
          commit: (changeSeq) => {
            forgetPast.run()
            for (const { after } of changes) rows.save(after, changeSeq)
            return scope
          },
        }
      },
    })
  }

  /** Changes what is due of these. What Xray refuses for one must not keep the others from it. */
  async function keep(online: Online | null, isMeant: (row: Limited) => boolean): Promise<void> {
    const due = judge(online).filter((judged) => isChange(judged) && isMeant(judged.before))
    try {
      for (let left = due.length; left > 0; left -= MOST_AT_ONCE) await change(online, isMeant)
    } catch (error) {
      if (due.length === 1 || toFleetError(error, randomId(runtime, 64)).retryable) throw error
      const failed: unknown[] = []
      for (const { before } of due) {
        await change(online, ({ of, id }) => of === before.of && id === before.id).catch((alone: unknown) =>
          failed.push(alone),
        )
      }
      if (failed.length > 0) throw failed[0]
    }
  }

  function tellWhoIsNear(): void {
    const now = runtime.now()
    const inUse = rows.read(now, []).filter(({ enabled }) => enabled)
    near.look(inUse.map(standing), now).forEach(publish)
  }

  /** Every few seconds the same would be said. */
  function report(failures: readonly unknown[]): void {
    const reasons = failures.map((error) => (error instanceof Error ? error.message : String(error)))
    const reason = reasons.join('; ')
    if (reason !== '' && reason !== failure)
      log.error({ error: failures[0], reason }, 'limits could not be kept')
    failure = reason
  }

  return {
    /**
     * Looks at all limits, and at who is connected. Never rejects: what fails keeps nothing else from its turn, and is
     * tried again the next time.
     * @returns whether all that was due has come about
     */
    async run(): Promise<boolean> {
      const failures: unknown[] = []
      const attempt = async (step: () => void | Promise<void>): Promise<void> => {
        try {
          await step()
        } catch (error) {
          failures.push(error)
        }
      }
      // Bytes and dates first: where thousands are connected, to be told from where takes seconds.
      await attempt(() => keep(null, () => true))
      let online: Online | null = null
      await attempt(async () => {
        online = await deps.online(whomToAsk)
      })
      await attempt(() => keep(online, (row) => row.of === 'client' && row.ipLimit !== null))
      await attempt(() => addresses.note(online ?? [], runtime.now()))
      await attempt(tellWhoIsNear)
      report(failures)
      return failures.length === 0
    },
  }
}

function isChange({ before, after }: Judged): boolean {
  const isBegun = before.of === 'client' && after.of === 'client' && before.startedAt !== after.startedAt
  return (
    isBegun || after.resets || before.blocked !== after.blocked || before.nextResetAt !== after.nextResetAt
  )
}

function standing({ of, id, name, limitBytes, expiresAt, bytes, countedFrom }: Limited): Standing {
  return { of, id, name, limitBytes, expiresAt, usedBytes: bytes, countedFrom }
}
