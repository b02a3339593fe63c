import { FleetError, fail } from '#src/errors.ts'
import { hashOf } from '#src/node/rows/canonical.ts'
import { createSerial } from '#src/xray/life/serial.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { type OrderRequest, orderCertificate } from './acme/order.ts'
import type { AcmeSettings } from './acme/settings.ts'
import { makeKey } from './making.ts'
import { type ReadChain, readPair } from './pem.ts'

/** A certificate wanted from the authority: with a key that is there already, or with a new one. */
export type Wanted = Omit<OrderRequest, 'key'> & { key?: string }

export interface OrderedPair extends ReadChain {
  key: string
}

export interface OrdersDeps {
  db: Sqlite
  box: SecretBox
  runtime: Runtime
  settings: AcmeSettings
  /** Who has a port of this machine, as far as is known. */
  portHolder: (port: number) => string | undefined
}

const ACCOUNT = 'acme.account'
const ACCOUNT_PLACE = 'settings:acme.account:key'

/**
 * Orders with the certificate authority: one after the other, since there is one port to answer on, and the same one
 * once, however many wait for it.
 */
export function createOrders(deps: OrdersDeps) {
  const { db, box, runtime, settings, portHolder } = deps
  const { directory } = settings
  const serial = createSerial()
  const stopping = new AbortController()
  const running = new Map<string, Promise<OrderedPair>>()

  const readAccount = db.prepare('select value from settings where key = ?').pluck()
  const addAccount = db.prepare(
    'insert into settings (key, value) values (?, ?) on conflict (key) do nothing',
  )

  /** The account's key: made for the first order, and the same for every authority. */
  async function accountKey(): Promise<string> {
    if (readAccount.get(ACCOUNT) === undefined)
      addAccount.run(ACCOUNT, box.seal(await makeKey(), ACCOUNT_PLACE))
    return box.open(readAccount.get(ACCOUNT) as string, ACCOUNT_PLACE)
  }

  async function carryOut(wanted: Wanted): Promise<OrderedPair> {
    const { signal } = stopping
    signal.throwIfAborted()
    const key = wanted.key ?? (await makeKey())
    const certificate = await orderCertificate(
      { ...wanted, key },
      { settings, runtime, portHolder, signal, accountKey: await accountKey() },
    )
    try {
      return readPair({ domain: wanted.domain, certificate, key }, runtime.now())
    } catch (cause) {
      const reason = cause instanceof FleetError ? String(cause.details['reason']) : 'unreadable'
      return fail(
        'ACME_UNREACHABLE',
        { directory, reason: `of the certificate it gave: ${reason}` },
        { cause },
      )
    }
  }

  return {
    /** @throws FleetError as `orderCertificate` */
    order(wanted: Wanted): Promise<OrderedPair> {
      const id = hashOf(wanted)
      const present = running.get(id)
      if (present !== undefined) return present
      const begun = serial(() => carryOut(wanted)).finally(() => running.delete(id))
      running.set(id, begun)
      return begun
    },

    /** Gives up what is under way; resolves when its port is closed. */
    async stop(): Promise<void> {
      stopping.abort(new FleetError('ACME_UNREACHABLE', { directory, reason: 'this server is ending' }))
      await Promise.allSettled(running.values())
    },
  }
}
