/** What the rows would be with a backup put back, and everything that can be known to be wrong with that. */
import type { RoutingDocument } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { XrayInbound } from '#src/xray/config/model.ts'
import { renderConfig } from '#src/xray/config/render.ts'
import type { Network } from '#src/xray/config/streams.ts'
import { validateRouting } from '#src/xray/config/validate-routing.ts'
import { networksBeside, validateModel } from '#src/xray/config/validate.ts'
import { domainOf } from '../certificates/certificate-users.ts'
import { type CertificateRecord, createCertificateRows } from '../certificates/rows.ts'
import type { Engine } from '../engine/engine.ts'
import type { InboundRecord } from '../rows/records.ts'
import { createRoutingRow } from '../rows/routing-row.ts'
import type { Rows } from '../rows/rows.ts'

export interface RehearsalDeps {
  db: Sqlite
  box: SecretBox
  rows: Rows
  engine: Pick<Engine, 'model'>
  isPortFree: (listen: string, port: number, networks: readonly Network[]) => Promise<boolean>
  /** Lets Xray read a configuration without running it. @throws XRAY_REFUSED */
  testConfig: (config: object) => Promise<void>
}

interface Rehearsed {
  inbounds: InboundRecord[]
  /** Those that inbounds show, by their domains. */
  certificates: Map<string, CertificateRecord>
  routing: RoutingDocument
  /** Ids of inbounds that show another certificate than before. */
  reshown: number[]
}

export function createRehearsal({ db, box, rows, engine, isPortFree, testConfig }: RehearsalDeps) {
  const certificates = createCertificateRows(db, box)
  const routing = createRoutingRow(db, box)

  function seen(before: ReadonlyMap<string, string>): Rehearsed {
    const inbounds = rows.inbounds()
    const shown = inbounds.map(({ id, stream }) => ({ id, domain: domainOf(stream) }))
    const held = [...new Set(shown.map(({ domain }) => domain))].flatMap((domain) => {
      const row = domain === null ? undefined : certificates.open(domain)
      return row === undefined ? [] : [[row.domain, row] as const]
    })
    const isOther = new Set(
      held.filter(([domain, row]) => before.get(domain) !== row.sha256).map(([domain]) => domain),
    )
    return {
      inbounds,
      certificates: new Map(held),
      routing: routing.read().document,
      reshown: shown.filter(({ domain }) => domain !== null && isOther.has(domain)).map(({ id }) => id),
    }
  }

  /** With its certificate in it, which has no file yet. */
  function withCertificate<I extends XrayInbound>(inbound: I, held: Rehearsed['certificates']): I {
    const domain = domainOf(inbound.stream)
    if (domain === null) return inbound
    const { chain, key } = held.get(domain) ?? fail('CERTIFICATE_NOT_FOUND', { domain })
    const secrets = { ...inbound.secrets, certificate: chain, certificateKey: key }
    return { ...inbound, secrets, certificateFiles: null }
  }

  return {
    /** @param putBack writes the rows; all of it is taken back */
    rehearse(putBack: () => void): Rehearsed {
      const before = new Map(certificates.all().map(({ domain, sha256 }) => [domain, sha256]))
      return takenBack(db, () => {
        putBack()
        return seen(before)
      })
    },

    /** @throws FleetError what is wrong: PORT_TAKEN, CERTIFICATE_NOT_FOUND, XRAY_REFUSED and what `validateModel` finds */
    async check({ inbounds, certificates: held, routing: document }: Rehearsed): Promise<void> {
      // Those put back last: what is in their way is named, rather than they.
      const inOrder = inbounds.toSorted((a, b) => a.changeSeq - b.changeSeq)
      const model = { ...engine.model(inOrder, false), routing: document }
      const wrong = validateRouting(document) ?? validateModel(model)
      if (wrong !== null) throw wrong
      const ours = rows.allInboundSettings().filter(({ enabled }) => enabled)
      for (const inbound of model.inbounds) {
        const { listen, port } = inbound
        if (!(await isPortFree(listen, port, networksBeside(ours, inbound))))
          fail('PORT_TAKEN', { port, by: 'another program' })
      }
      const shown = model.inbounds.map((inbound) => withCertificate(inbound, held))
      await testConfig(renderConfig({ ...model, inbounds: shown }))
    },
  }
}

/** Ends a transaction without its changes, but with what was seen in it. */
class TakenBack<T> {
  readonly value: T
  constructor(value: T) {
    this.value = value
  }
}

function takenBack<T>(db: Sqlite, work: () => T): T {
  try {
    db.transaction(() => {
      throw new TakenBack(work())
    }).immediate()
  } catch (thrown) {
    if (thrown instanceof TakenBack) return thrown.value as T
    throw thrown
  }
  throw new TypeError('the transaction did not end')
}
