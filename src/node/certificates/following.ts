import type { Log } from '#src/log.ts'
import type { Raw, Snapshot } from '#src/node/rows/snapshot.ts'
import type { Runtime } from '#src/runtime.ts'
import type { createCertificateFiles } from './files.ts'
import { haveSameKey } from './pem.ts'
import type { CertificateRows, CertificateSettings } from './rows.ts'
import { pinFor } from './shown.ts'

/** Xray looks at its files once an hour; a certificate that ends before it has done so twice is not waited for. */
const XRAY_LOOKS_WITHIN_MS = 2 * 60 * 60 * 1000

export interface FollowingDeps {
  rows: CertificateRows
  files: ReturnType<typeof createCertificateFiles>
  runtime: Pick<Runtime, 'now'>
  log: Log
  /** The enabled inbounds that use a certificate. */
  usedBy: (domain: string) => readonly { id: number }[]
  /** Closes and opens these inbounds in the running Xray; connections that are there go on. */
  reopen: (inbounds: readonly number[]) => Promise<unknown>
}

/** Makes files, and what Xray shows, agree with the rows. */
export function createFollowing({ rows, files, runtime, log, usedBy, reopen }: FollowingDeps) {
  async function followOne(domain: string, before: Shown | undefined): Promise<void> {
    const now = rows.open(domain)
    if (now === undefined) return files.remove(domain)
    await files.write(now)
    if (canWait(before, now, runtime.now())) return
    const inbounds = usedBy(domain).map(({ id }) => id)
    if (inbounds.length > 0) await reopen(inbounds)
  }

  return {
    /** After a change of certificates, and again after it was taken back. Repeating it is harmless. */
    async follow(before: Pick<Snapshot, 'scope' | 'certificates'>): Promise<void> {
      for (const domain of before.scope.certificates ?? []) {
        const raw = before.certificates?.find((row) => row['domain'] === domain)
        await followOne(domain, raw === undefined ? undefined : shownOf(raw))
      }
    },

    /** At a start, before Xray's: what was deleted, or written by hand, is put right. */
    async followAll(): Promise<void> {
      const all = rows.all()
      for (const { domain } of all) {
        try {
          const row = rows.open(domain)
          if (row !== undefined) await files.write(row)
        } catch (error) {
          // The others, and the inbounds without TLS, can do without it.
          log.error({ error, domain }, 'the file of a certificate could not be written')
        }
      }
      await files.keepOnly(all.map(({ domain }) => domain))
    },
  }
}

type Shown = Pick<CertificateSettings, 'kind' | 'sha256' | 'chain' | 'notAfter'>

const shownOf = (raw: Raw): Shown => ({
  kind: String(raw['kind']) as Shown['kind'],
  sha256: String(raw['sha256']),
  chain: String(raw['chain']),
  notAfter: Number(raw['not_after']),
})

/**
 * Whether Xray may come across it by itself, within the hour. One that links pin, or one with another key, may not wait:
 * links are changed already. Else it does not matter which of the two is shown, as long as the old one lasts.
 */
function canWait(before: Shown | undefined, now: Shown, time: number): boolean {
  if (before === undefined || pinFor(before) !== pinFor(now)) return false
  return haveSameKey(before.chain, now.chain) && before.notAfter - time > XRAY_LOOKS_WITHIN_MS
}
