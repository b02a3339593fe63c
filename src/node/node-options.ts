import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Migration } from '#src/store/migrate.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { Download } from '#src/xray/download.ts'
import type { AcmeSettings } from './certificates/acme/settings.ts'
import type { PublishLimit } from './limit-events.ts'

export interface NodeOptions {
  db: Sqlite
  box: SecretBox
  runtime: Runtime
  log: Log
  /** The Xray program. */
  binary: string
  /** XRAY_BIN names the program, so that no other may be installed in its place. */
  pinned?: boolean | undefined
  /** Folder of Xray's files; nothing else may use it. */
  dir: string
  /** Folder of the programs an admin installs. */
  installDir: string
  /** This product's version, as it is reported. */
  version: string
  /** Those the database has: a backup is made with them, and an older one brought up by them. */
  migrations: readonly Migration[]
  /** Stands in share links; without one, this machine's host name. */
  publicAddress?: string | undefined
  /** Where an inbound listens that names no address; without one, on all of this machine's. */
  inboundListen?: string | undefined
  /** Lets clients reach loopback and private networks: for tests and the demo alone. */
  allowPrivateTargets?: boolean | undefined
  /** How often counters are read, ms. A crash of Xray loses at most the traffic of one such interval. */
  accountingIntervalMs?: number | undefined
  /** Where certificates are ordered; Let's Encrypt unless told. */
  acme?: AcmeSettings | undefined
  /** Told once a day of a certificate that comes to its end and is not, or cannot be, renewed. */
  onCertificateSoonDue?: ((domain: string, daysLeft: number) => void) | undefined
  /** How often certificates that are due are looked for, ms. */
  certificateIntervalMs?: number | undefined
  /** Told of limits that are reached or near, and of who is let in again. */
  publish?: PublishLimit | undefined
  /** How files come from the internet; HTTPS unless told. */
  download?: Download | undefined
  faults?: Faults | undefined
}
