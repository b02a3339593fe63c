/** A node: one server's state, its rules, and the Xray it looks after. Works on with nobody watching. */
import os from 'node:os'
import { dirname } from 'node:path'
import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { Download } from '#src/xray/download.ts'
import { oldLog } from '#src/xray/log-rotation.ts'
import { xrayPaths } from '#src/xray/process.ts'
import { createAccounting } from './accounting.ts'
import { createAnswers } from './answers.ts'
import { type CommandKind, createCommands } from './commands.ts'
import { createChanges } from './changes.ts'
import { createClients } from './clients.ts'
import { createEngine } from './engine.ts'
import { createGeo } from './geo.ts'
import { createInbounds } from './inbounds.ts'
import { createInstall } from './install.ts'
import { lastLines } from './log-lines.ts'
import { createMachine, osName } from './machine.ts'
import type { NodeOperations } from './operations.ts'
import { createPosition } from './position.ts'
import { createRows } from './rows.ts'
import { viewRows } from './rows-view.ts'
import type { Command } from './snapshot.ts'
import { createSettings } from './settings.ts'
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
  /** XRAY_BIN names the program, so that no other may be installed in its place. */
  pinned?: boolean | undefined
  /** Folder of Xray's files; nothing else may use it. */
  dir: string
  /** Folder of the programs an admin installs. */
  installDir: string
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
  /** How files come from the internet; HTTPS unless told. */
  download?: Download | undefined
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
  const position = createPosition(db, () => runtime.uuid())
  const settings = createSettings(db)
  const answers = createAnswers(db, rows, options.publicAddress ?? os.hostname())
  const allowPrivateTargets = options.allowPrivateTargets ?? false
  const engine = createEngine({ ...xray, rows, paths, allowPrivateTargets })
  const writes = createWrites({
    db,
    box,
    runtime,
    log,
    position,
    view: () => viewRows(rows),
    push: async (before, now) => {
      if (before.command !== undefined) await kindOf(before.command).requireDone(before.command)
      await engine.push(before, now)
    },
    reconcile: (reopen) => engine.reconcile(reopen),
    answer: (operation, before, now) =>
      before.command === undefined
        ? answers.after(operation, before, now)
        : kindOf(before.command).answer(before.command),
    faults: options.faults,
  })
  const accounting = createAccounting({ db, position, now: () => runtime.now() })
  const commands = createCommands({ writes, engine })
  const control = createXrayControl({ engine, writes, commands, settings, accounting, log })
  const geo = createGeo({ xray, engine, commands, settings })
  const { lastAccount } = control
  const pinned = options.pinned ?? false
  const install = createInstall({ xray, engine, commands, settings, runtime, log, pinned, lastAccount })
  const kinds: Record<string, CommandKind> = { ...control.kinds, ...geo.kinds, ...install.kinds }

  function kindOf({ operation }: Command): CommandKind {
    const kind = kinds[operation]
    if (kind === undefined) throw new TypeError(`${operation} is no command`)
    return kind
  }

  const changes = createChanges(db, rows, position)
  const machine = createMachine({
    dir: dirname(dir),
    runtime,
    publicAddress: options.publicAddress,
    xray: () => {
      const { pid, startedAt } = xray.process.state()
      return pid === null || startedAt === null ? null : { pid, startedAt }
    },
  })

  const stopping = new AbortController()

  async function keepAccounting(): Promise<void> {
    for (;;) {
      await runtime.sleep(options.accountingIntervalMs ?? DEFAULT_ACCOUNTING_INTERVAL_MS, stopping.signal)
      await control.account()
      await writes.mend()
      await control.heal()
      await xray.rotateLogs()
    }
  }

  async function health(): ReturnType<NodeOperations['server.health']> {
    const { running, lastError } = control.state()
    return {
      status: running && lastError === null ? 'online' : 'error',
      xrayRunning: running,
      agentVersion: version,
      xrayVersion: install.version(),
      lastError,
      ...position.read(),
      time: runtime.now(),
    }
  }

  const total = db.prepare(
    // By outbound, since inbounds and clients take their counters with them when they are deleted.
    'select coalesce(sum(up), 0) as up, coalesce(sum(down), 0) as down from outbound_traffics where server_id = 1',
  )
  const perClient = db.prepare(
    `select email, up, down from client_traffics t join clients c on c.server_id = t.server_id and c.id = t.client_id
     where t.server_id = 1 order by c.id`,
  )
  const perOutbound = db.prepare(
    'select tag, up, down from outbound_traffics where server_id = 1 order by tag',
  )

  const operations: NodeOperations = {
    ...createInbounds({ ...xray, rows, writes, engine, answers, position, runtime, inboundListen }),
    ...createClients({ db, rows, writes, engine, position, runtime }),
    ...control.operations,
    ...geo.operations,
    ...install.operations,
    'server.health': health,
    'server.info': async () => ({
      hostname: os.hostname(),
      agentVersion: version,
      xrayVersion: install.version(),
      os: await osName(),
      arch: os.arch(),
      kernel: os.release(),
      uptime: os.uptime(),
      epoch: position.read().epoch,
    }),
    'traffic.total': async () => ({
      ...(total.get() as { up: number; down: number }),
      epoch: position.read().epoch,
    }),
    'traffic.clients': async () => perClient.all() as { email: string; up: number; down: number }[],
    'traffic.outbounds': async () => perOutbound.all() as { tag: string; up: number; down: number }[],
    'system.stats': () => machine.stats(),
    'system.logs': ({ source, ...wanted }) => {
      const file = source === 'xray' ? paths.log : paths.output
      return lastLines([file, oldLog(file)], wanted)
    },
    'sync.changes': async (query) => changes(query),
  }

  return {
    operations,

    async start() {
      position.begin()
      await xray.tidy()
      await install.look()
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
