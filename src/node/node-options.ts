import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Migration } from '#src/store/migrate.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { Download } from '#src/xray/programs/download.ts'
import type { AcmeSettings } from './certificates/acme/settings.ts'
import type { CutMode } from './limits/cut.ts'
import type { Events } from './events/events.ts'
import type { PublishLimit } from './limits/limit-events.ts'
import type { NodeOperations } from './operations.ts'

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
  /** What becomes of connections that stand of clients who are refused; they are cut, where that is possible, unless told. */
  cut?: CutMode | undefined
  /** Told of limits that are reached or near, and of who is let in again. */
  publish?: PublishLimit | undefined
  /** How files come from the internet; HTTPS unless told. */
  download?: Download | undefined
  faults?: Faults | undefined
}

export interface Node {
  operations: NodeOperations
  /** For parts beside it that have something to tell: what a limit or a certificate has come to. */
  publish: Events['publish']
  /**
   * Takes over the Xray that runs, or starts one; brings to an end what a kill interrupted. Xray refusing its
   * configuration is no failure of this: the node then reports it and can be told to mend it.
   */
  start(): Promise<void>
  /** Lets go. Xray keeps running unless it is to stop too. */
  stop(options?: { stopXray?: boolean | undefined }): Promise<void>
}
