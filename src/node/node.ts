/** A node: one server's state, its rules, and the Xray it looks after. Works on with nobody watching. */
import os from 'node:os'
import { dirname, join } from 'node:path'
import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { xrayPaths } from '#src/xray/process.ts'
import { createAccounting } from './accounting.ts'
import { createAnswers } from './answers.ts'
import { createChanges } from './changes.ts'
import { createClients } from './clients.ts'
import { createEngine } from './engine.ts'
import { createInbounds } from './inbounds.ts'
import { createMachine, osName, tail } from './machine.ts'
import type { NodeOperations } from './operations.ts'
import { createPlacements } from './placements.ts'
import { createPosition } from './position.ts'
import { type HeldCertificates, createPrepareInbound } from './prepare-inbound.ts'
import { createRouting } from './routing.ts'
import { createRoutingRow } from './routing-row.ts'
import { createRows } from './rows.ts'
import { viewRows } from './rows-view.ts'
import { createSettings } from './settings.ts'
import { createTraffic } from './traffic.ts'
import { createWrites } from './writes.ts'
import { createXrayControl } from './xray-control.ts'
import { type XrayParts, realXray } from './xray-parts.ts'

export interface NodeOptions {
  db: Sqlite
  box: SecretBox
  runtime: Runtime
  log: Log
  /** The Xray program. */
  binary: string
  /** Folder of Xray's files; nothing else may use it. */
  dir: string
  /** This product's version, as it is reported. */
  version: string
  /** Stands in share links; without one, this machine's host name. */
  publicAddress?: string | undefined
  /** Where an inbound listens that names no address; without one, on all of this machine's. */
  inboundListen?: string | undefined
  /** Lets clients reach loopback and private networks: for tests and the demo alone. */
  allowPrivateTargets?: boolean | undefined
  /** How often counters are read, ms. A crash of Xray loses at most the traffic of one such interval. */
  accountingIntervalMs?: number | undefined
  faults?: Faults | undefined
}

export interface Node {
  operations: NodeOperations
  /**
   * Takes over the Xray that runs, or starts one; brings to an end what a kill interrupted. Xray refusing its
   * configuration is no failure of this: the node then reports it and can be told to mend it.
   */
  start(): Promise<void>
  /** Lets go. Xray keeps running unless it is to stop too. */
  stop(options?: { stopXray?: boolean | undefined }): Promise<void>
}

const DEFAULT_ACCOUNTING_INTERVAL_MS = 10_000

/** @param xray what is done with Xray itself; another one than the real is for tests of everything around it */
export function createNode(options: NodeOptions, xray: XrayParts = realXray(options)): Node {
  const { db, box, runtime, log, dir, version } = options
  const { api } = xray
  const paths = xrayPaths(dir)
  const inboundListen = options.inboundListen ?? '0.0.0.0'
  const rows = createRows(db, box)
  const placements = createPlacements(db)
  const position = createPosition(db, () => runtime.uuid())
  const settings = createSettings(db)
  const routingRow = createRoutingRow(db, box)
  const answers = createAnswers(db, rows, options.publicAddress ?? os.hostname())
  const allowPrivateTargets = options.allowPrivateTargets ?? false
  const certificates: HeldCertificates = { pinOf: () => undefined, filesOf: () => null }
  const engine = createEngine({
    ...xray,
    rows,
    placements,
    certificateFiles: (domain) => certificates.filesOf(domain),
    routing: () => routingRow.read().document,
    openRouting: routingRow.open,
    beforeRestart: () => control.lastAccount(),
    log,
    paths,
    allowPrivateTargets,
  })
  const writes = createWrites({
    db,
    box,
    runtime,
    log,
    position,
    view: () => viewRows(rows),
    push: async (before, now) => {
      if (before.command?.operation.startsWith('xray.')) control.requireDone(before.command)
      await engine.push(before, now)
    },
    reconcile: (reopen) => engine.reconcile(reopen),
    answer: (operation, before, now) => {
      if (operation === 'routing.set') return routing.answer(before)
      return operation.startsWith('xray.') ? control.answer() : answers.after(operation, before, now)
    },
    faults: options.faults,
  })
  const accounting = createAccounting({ db, position, now: () => runtime.now() })
  const control = createXrayControl({ engine, writes, settings, accounting, log })
  const routing = createRouting({ ...xray, row: routingRow, writes, engine, runtime })
  const changes = createChanges(db, rows, position)
  const machine = createMachine(dirname(dir), (ms) => runtime.sleep(ms))

  let xrayVersionKnown: string | null = null
  const stopping = new AbortController()

  async function keepAccounting(): Promise<void> {
    for (;;) {
      await runtime.sleep(options.accountingIntervalMs ?? DEFAULT_ACCOUNTING_INTERVAL_MS, stopping.signal)
      await control.account()
      await writes.mend()
    }
  }

  async function health(): ReturnType<NodeOperations['server.health']> {
    const { running, lastError } = control.state()
    return {
      status: running && lastError === null ? 'online' : 'error',
      xrayRunning: running,
      agentVersion: version,
      xrayVersion: xrayVersionKnown,
      lastError,
      ...position.read(),
      time: runtime.now(),
    }
  }

  const operations: NodeOperations = {
    ...createInbounds({
      ...xray,
      db,
      rows,
      placements,
      writes,
      engine,
      answers,
      position,
      runtime,
      inboundListen,
      prepare: createPrepareInbound(runtime, certificates),
    }),
    ...createClients({ db, rows, writes, engine, position, runtime }),
    ...routing.operations,
    ...createTraffic({ db, rows, position, runtime }),
    ...control.operations,
    'server.health': health,
    'server.info': async () => ({
      hostname: os.hostname(),
      agentVersion: version,
      xrayVersion: xrayVersionKnown,
      os: await osName(),
      arch: os.arch(),
      kernel: os.release(),
      uptime: os.uptime(),
      epoch: position.read().epoch,
    }),
    'xray.version': async () => ({ version: await xray.version() }),
    'system.stats': () => machine.stats(),
    'system.logs': ({ source, lines }) =>
      tail(source === 'xray' ? join(paths.logDir, 'error.log') : paths.output, lines),
    'sync.changes': async (query) => changes(query),
  }

  return {
    operations,

    async start() {
      position.begin()
      xrayVersionKnown = await xray.version().catch(() => null)
      await xray.tidy()
      await control.begin()
      // Ends by the abort alone.
      keepAccounting().catch(() => undefined)
    },

    async stop({ stopXray = false } = {}) {
      stopping.abort()
      await control.end(stopXray)
      api.close()
    },
  }
}
