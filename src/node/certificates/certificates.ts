/** The certificates of a node: got from an authority, made or imported, as files for Xray, and renewed in time. */
import type { CallContext, Certificate, OperationName } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import { hashOf } from '#src/node/rows/canonical.ts'
import type { CertificateUsers } from '#src/node/certificates/certificate-users.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import type { Snapshot } from '#src/node/rows/snapshot.ts'
import type { Plan } from '#src/node/writes/plan.ts'
import type { Writes } from '#src/node/writes/writes.ts'
import { DAY_MS, type Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { AcmeSettings } from './acme/settings.ts'
import { createCertificateFiles } from './files.ts'
import { createFollowing } from './following.ts'
import { makeKey, makeSelfSigned } from './making.ts'
import { createOrders } from './orders.ts'
import { type ReadChain, readPair } from './pem.ts'
import { createPreparations } from './preparations.ts'
import { renewalAt } from './renewal.ts'
import { createRenewals } from './renewals.ts'
import { type CertificateRecord, type CertificateSettings, createCertificateRows } from './rows.ts'
import { pinFor, shown } from './shown.ts'

export interface CertificateDeps {
  db: Sqlite
  box: SecretBox
  runtime: Runtime
  log: Log
  writes: Writes
  acme: AcmeSettings
  /** Xray's folder. */
  dir: string
  /** The inbounds that show them. */
  users: CertificateUsers
  /** Who has a port of this machine, as far as is known. */
  portHolder: (port: number) => string | undefined
  /** Closes and opens these inbounds in the running Xray; connections that are there go on. */
  reopen: (inbounds: readonly number[]) => Promise<unknown>
  /** Told once a day of a certificate that comes to its end and is not, or cannot be, renewed. */
  onSoonDue: (domain: string, daysLeft: number) => void
  /** How often what is due is looked for, ms. */
  intervalMs?: number | undefined
}

type CertificateOperations = Pick<NodeOperations, Extract<OperationName, `certificates.${string}`>>

/** What a change is to put into the rows, given how they are when its turn has come. @throws coded errors */
interface Prepared {
  domain: string
  next: (before: CertificateSettings | undefined) => CertificateRecord
}

type Pair = ReadChain & { key: string }
type Origin = Pick<CertificateRecord, 'domain' | 'kind' | 'challenge' | 'directory' | 'email'>

const fromNowhere = { challenge: null, directory: null, email: null }

export function createCertificates(deps: CertificateDeps) {
  const { db, box, runtime, writes, acme, dir, users } = deps
  const { enabled: usedBy } = users
  const rows = createCertificateRows(db, box)
  const following = createFollowing({ ...deps, usedBy, rows, files: createCertificateFiles(dir) })
  const orders = createOrders({ ...deps, settings: acme })
  const preparations = createPreparations()
  const chance = (): number => runtime.randomBytes(4).readUInt32BE() / 2 ** 32

  const describe = (settings: CertificateSettings): Certificate => shown(settings, runtime.now())

  function recordOf(origin: Origin, pair: Pair, before: CertificateSettings | undefined): CertificateRecord {
    const now = runtime.now()
    const autoRenew = origin.kind === 'acme'
    return {
      ...origin,
      ...pair,
      autoRenew,
      nextTryAt: autoRenew ? renewalAt(pair, now, chance()) : null,
      failures: 0,
      lastError: null,
      createdAt: before?.createdAt ?? now,
      updatedAt: now,
    }
  }

  /** A self-signed certificate. Not renewed by itself, since links pin it. */
  async function selfSigned(domain: string, days: number, key: string): Promise<Pair> {
    const certificate = await makeSelfSigned({ domain, days, key }, runtime)
    return readPair({ domain, certificate, key }, runtime.now())
  }

  async function prepareNew(
    input: Parameters<CertificateOperations['certificates.generate']>[0],
  ): Promise<Prepared> {
    const { domain } = input
    if (input.method === 'self-signed') {
      const pair = await selfSigned(domain, input.days, await makeKey())
      const origin: Origin = { ...fromNowhere, domain, kind: 'self-signed' }
      return { domain, next: (before) => recordOf(origin, pair, before) }
    }
    const { method: challenge, email = null } = input
    const pair = await orders.order({ domain, challenge, email })
    const origin: Origin = { domain, kind: 'acme', challenge, email, directory: acme.directory }
    return { domain, next: (before) => recordOf(origin, pair, before) }
  }

  /** The same certificate once more, with the key it has: so old and new go together in any mixture. */
  async function prepareRenewal(domain: string): Promise<Prepared> {
    const old = rows.open(domain) ?? fail('CERTIFICATE_NOT_FOUND', { domain })
    const { kind, challenge, email, directory, key } = old
    if (kind === 'imported') fail('CERTIFICATE_NOT_RENEWABLE', { domain })
    const pair =
      challenge === null
        ? await selfSigned(domain, Math.round((old.notAfter - old.notBefore) / DAY_MS), key)
        : await orders.order({ domain, challenge, email, key })
    const origin: Origin = {
      domain,
      kind,
      challenge,
      email,
      directory: directory === null ? null : acme.directory,
    }
    return {
      domain,
      next(before) {
        if (before === undefined) fail('CERTIFICATE_NOT_FOUND', { domain })
        // Replaced by another one while this was made, by whoever wanted that.
        if (before.sha256 !== old.sha256 && before.sha256 !== pair.sha256) fail('STALE_ROW_VERSION')
        return recordOf(origin, pair, before)
      },
    }
  }

  /** Prepared outside the queue of changes, which an authority must not hold up; committed in it. */
  async function change(
    operation: OperationName,
    input: unknown,
    call: CallContext,
    prepare: () => Promise<Prepared>,
  ): Promise<Certificate> {
    const key = call.idempotencyKey ?? fail('IDEMPOTENCY_KEY_REQUIRED')
    const work = writes.isKnown(key)
      ? undefined
      : preparations.begin(key, hashOf({ operation, input }), prepare)
    // A refusal is the outcome of the key like any other, so it too goes the way of every change.
    await work?.catch(() => undefined)
    return writes.run<Certificate>({
      operation,
      input,
      call,
      plan: async () => {
        // Known a moment ago, and forgotten since: then it is prepared after all.
        const { domain, next } = await (work ?? prepare())
        const record = next(rows.find(domain))
        return planOf(domain, record)
      },
    })
  }

  /** @param record what is to stand in the rows; null: nothing */
  function planOf(domain: string, record: CertificateRecord | null): Plan {
    const pin = record === null ? null : pinFor(record)
    // Their links change with it.
    const inbounds = record === null ? [] : users.pinningOther(domain, pin)
    const scope = { inbounds, clients: [], certificates: [domain] }
    return {
      before: scope,
      commit(changeSeq) {
        if (record === null) rows.remove(domain, runtime.now())
        else rows.save(record)
        users.repin(inbounds, pin, changeSeq, runtime.now())
        return scope
      },
    }
  }

  const operations: CertificateOperations = {
    'certificates.list': async () => rows.all().map(describe),

    'certificates.generate': (input, call) =>
      change('certificates.generate', input, call, () => prepareNew(input)),

    'certificates.import': (input, call) =>
      change('certificates.import', input, call, async () => {
        const pair = readPair(input, runtime.now())
        const origin: Origin = { ...fromNowhere, domain: input.domain, kind: 'imported' }
        return { domain: input.domain, next: (before) => recordOf(origin, pair, before) }
      }),

    'certificates.renew': (input, call) =>
      change('certificates.renew', input, call, () => prepareRenewal(input.domain)),

    'certificates.delete': (input, call) =>
      writes.run({
        operation: 'certificates.delete',
        input,
        call,
        plan: async () => {
          const { domain } = input
          if (rows.find(domain) === undefined) fail('CERTIFICATE_NOT_FOUND', { domain })
          const tags = usedBy(domain).map(({ tag }) => tag)
          if (tags.length > 0) fail('CERTIFICATE_IN_USE', { domain, by: `the inbound ${tags.join(', ')}` })
          return planOf(domain, null)
        },
      }),
  }

  const renewals = createRenewals({
    ...deps,
    rows,
    chance,
    renew: (domain) => operations['certificates.renew']({ domain }, { idempotencyKey: runtime.uuid() }),
  })

  return {
    operations,
    /** What links to an inbound with this certificate pin; null: nothing; undefined: there is no such certificate. */
    pinOf(domain: string): string | null | undefined {
      const row = rows.find(domain)
      return row === undefined ? undefined : pinFor(row)
    },
    /** What is done with Xray's files, and with Xray, once rows have changed. */
    follow: (before: Snapshot): Promise<void> => following.follow(before),

    /** How a change is answered, from its rows before and now. */
    answer(operation: string, before: Snapshot): unknown {
      const [domain = ''] = before.scope.certificates ?? []
      if (operation === 'certificates.delete') return { domain }
      const row = rows.find(domain)
      if (row === undefined) throw new TypeError(`${operation} has no answer`)
      return describe(row)
    },

    /** Before Xray is started, which reads the files. */
    begin: (): Promise<void> => following.followAll(),
    /** Once the node has brought to an end what was interrupted. */
    start: (): void => renewals.start(),
    /** Renews what is due now, as is done every few minutes. */
    look: (): Promise<void> => renewals.look(),

    async stop(): Promise<void> {
      // Told first, so that it does not take the end of an order for a failure.
      const ended = renewals.stop()
      await orders.stop()
      await preparations.settled()
      await ended
    },
  }
}
