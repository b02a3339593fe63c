import type { CertificateUsers } from '#src/node/certificates/certificate-users.ts'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Faults } from '#src/faults.ts'
import { type AcmeSettings, defaultAcme } from '#src/node/certificates/acme/settings.ts'
import { createCertificates } from '#src/node/certificates/certificates.ts'
import { createPosition } from '#src/node/rows/position.ts'
import { createRows } from '#src/node/rows/rows.ts'
import { viewRows } from '#src/node/rows/rows-view.ts'
import { type Writes, createWrites } from '#src/node/writes/writes.ts'
import { type Runtime, systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { certificateFiles } from '#src/xray/config/certificate-files.ts'
import { silentLog } from './silent-log.ts'

export type Certificates = ReturnType<typeof createCertificates>

/** The certificates of a node in a folder, with its database, its changes and its files, but no Xray and no loops. */
export interface CertificateDesk {
  dir: string
  db: Sqlite
  writes: Writes
  certificates: Certificates
  operations: Certificates['operations']
  /** Everything told of certificates that come to their end. */
  soonDue: { domain: string; daysLeft: number }[]
  /** Every time inbounds were to be opened anew. */
  reopened: number[][]
  /** What stands in the file of a domain; null: there is none. */
  fileOf(domain: string): Promise<string | null>
  /** Begins again over the same files, as a process does that was killed. */
  restart(options?: Partial<DeskOptions>): Promise<void>
  close(): Promise<void>
}

export interface DeskOptions {
  dir: string
  runtime: Runtime
  acme: AcmeSettings
  usedBy: CertificateUsers['enabled']
  /** Fails as Xray may. */
  reopen: () => Promise<void>
  faults: Faults
}

export const newKey = (): { idempotencyKey: string } => ({ idempotencyKey: randomUUID() })

export async function openCertificateDesk(given: Partial<DeskOptions> = {}): Promise<CertificateDesk> {
  const dir = given.dir ?? (await mkdtemp(join(tmpdir(), 'certificates-')))
  const runtime = given.runtime ?? systemRuntime()
  const box = secretBoxFor(Buffer.alloc(32, 7))
  const db = openStore({
    file: join(dir, 'node.db'),
    migrations: readMigrations(join(import.meta.dirname, '../../migrations')),
    now: runtime.now(),
  })
  const desk = { dir, db, soonDue: [], reopened: [] } as unknown as CertificateDesk

  async function begin(options: Partial<DeskOptions>): Promise<void> {
    const rows = createRows(db, box)
    const log = silentLog()
    const writes = createWrites({
      db,
      box,
      runtime,
      log,
      position: createPosition(db, () => runtime.uuid()),
      view: () => viewRows(rows),
      push: (before) => certificates.follow(before),
      answer: (operation, before) => certificates.answer(operation, before),
      reconcile: async () => 0,
      faults: options.faults,
    })
    const certificates = createCertificates({
      db,
      box,
      runtime,
      log,
      writes,
      acme: options.acme ?? defaultAcme,
      dir,
      users: {
        enabled: options.usedBy ?? (() => []),
        pinningOther: () => [],
        repin: () => undefined,
      },
      portHolder: () => undefined,
      async reopen(inbounds) {
        desk.reopened.push([...inbounds])
        await options.reopen?.()
      },
      onSoonDue: (domain, daysLeft) => desk.soonDue.push({ domain, daysLeft }),
    })
    Object.assign(desk, { writes, certificates, operations: certificates.operations })
    await certificates.begin()
    await writes.settle(() => undefined)
  }

  Object.assign(desk, {
    fileOf: (domain: string) =>
      readFile(certificateFiles(dir, domain).certificateFile, 'utf8').catch(() => null),
    restart: (changed: Partial<DeskOptions> = {}) => begin({ ...given, ...changed }),
    async close() {
      await desk.certificates.stop()
      db.close()
      if (given.dir === undefined) await rm(dir, { recursive: true, force: true })
    },
  } satisfies Partial<CertificateDesk>)
  await begin(given)
  return desk
}
