/** A node: one server's state, its rules, and the Xray it looks after. Works on with nobody watching. */
import os from 'node:os'
import { dirname } from 'node:path'
import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { oldLog } from '#src/xray/log-rotation.ts'
import { certificateFiles } from '#src/xray/certificate-files.ts'
import { xrayPaths } from '#src/xray/process.ts'
import { createAccounting } from './accounting.ts'
import { createAnswers } from './answers.ts'
import { type AcmeSettings, defaultAcme } from './certificates/acme/settings.ts'
import { createCertificates } from './certificates/certificates.ts'
import { createChanges } from './changes.ts'
import { createClients } from './clients.ts'
import { createNodeClock } from './clock.ts'
import { createEnforcement } from './enforce.ts'
import { createEngine } from './engine.ts'
import { createEvents, type Events, placeOf } from './events.ts'
import { createInbounds } from './inbounds.ts'
import { type PublishLimit, calmly, happeningOf, turnedBy } from './limit-events.ts'
import { lastLines } from './log-lines.ts'
import { createMachine, osName } from './machine.ts'
import { createLogTails } from './log-tail.ts'
import type { NodeOperations } from './operations.ts'
import { createPosition } from './position.ts'
import { createCertificateUsers } from './certificate-users.ts'
import { createPrepareInbound } from './prepare-inbound.ts'
import { createRouting } from './routing.ts'
import { createRoutingRow } from './routing-row.ts'
import { createRows } from './rows.ts'
import { viewRows } from './rows-view.ts'
import { createSettings } from './settings.ts'
import { createTraffic } from './traffic.ts'
import { createWrites } from './writes.ts'
import { createXrayControl } from './xray-control.ts'
import { tellOfXray } from './xray-news.ts'
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
  /** Where certificates are ordered; Let's Encrypt unless told. */
  acme?: AcmeSettings | undefined
  /** Told once a day of a certificate that comes to its end and is not, or cannot be, renewed. */
  onCertificateSoonDue?: ((domain: string, daysLeft: number) => void) | undefined
  /** How often certificates that are due are looked for, ms. */
  certificateIntervalMs?: number | undefined
  /** Told of limits that are reached or near, and of who is let in again. */
  publish?: PublishLimit | undefined
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

/** Whoever has used up what is theirs is refused within 15 s: this long until it is read, the rest to act on it. */
const DEFAULT_ACCOUNTING_INTERVAL_MS = 10_000

/** @param xray what is done with Xray itself; another one than the real is for tests of everything around it */
export function createNode(options: NodeOptions, xray: XrayParts = realXray(options)): Node {
  const { db, box, log, dir, version } = options
  const { api } = xray
  const settings = createSettings(db)
  const clock = createNodeClock(options.runtime, settings)
  const runtime: Runtime = { ...options.runtime, now: clock.now }
  const paths = xrayPaths(dir)
  const inboundListen = options.inboundListen ?? '0.0.0.0'
  const rows = createRows(db, box)
  const position = createPosition(
    db,
    () => runtime.uuid(),
    () => events.moved(),
  )
  const events = createEvents({ runtime, position: position.read, xray: () => control.state() })
  tellOfXray(xray.process, paths.output, events)
  const routingRow = createRoutingRow(db, box)
  const answers = createAnswers(db, rows, options.publicAddress ?? os.hostname())
  const allowPrivateTargets = options.allowPrivateTargets ?? false
  const users = createCertificateUsers(rows)
  const engine = createEngine({
    ...xray,
    rows,
    certificateFiles: (domain) => certificateFiles(dir, domain),
    routing: () => routingRow.read().document,
    openRouting: routingRow.open,
    beforeRestart: () => control.lastAccount(),
    log,
    paths,
    allowPrivateTargets,
  })
  const publish = calmly(
    (event) => {
      events.publish(happeningOf(event))
      options.publish?.(event)
    },
    (error) => log.error({ error }, 'an event was not published'),
  )
  const writes = createWrites({
    db,
    box,
    runtime,
    log,
    position,
    view: (known) => viewRows(rows, known),
    push: async (before, now) => {
      if (before.command?.operation.startsWith('xray.')) control.requireDone(before.command)
      await certificates.follow(before)
      await engine.push(before, now)
    },
    reconcile: (reopen) => engine.reconcile(reopen),
    answer: (operation, before, now) => {
      if (operation === 'routing.set') return routing.answer(before)
      if (operation.startsWith('xray.')) return control.answer()
      if (operation.startsWith('certificates.')) return certificates.answer(operation, before)
      return answers.after(operation, before, now)
    },
    applied: (before, now) => turnedBy(before, now, runtime.now()).forEach(publish),
    faults: options.faults,
  })
  const accounting = createAccounting({ db, position, now: () => runtime.now() })
  const control = createXrayControl({ engine, writes, settings, accounting, log })
  const certificates = createCertificates({
    db,
    box,
    // By the machine's own clock, as whoever looks at a certificate does.
    runtime: options.runtime,
    log,
    writes,
    acme: options.acme ?? defaultAcme,
    dir,
    users,
    portHolder(port) {
      const holder = rows.allInboundSettings().find((inbound) => inbound.enabled && inbound.port === port)
      return holder === undefined ? undefined : `the inbound ${holder.tag}`
    },
    reopen: (inbounds) => engine.reconcile(inbounds),
    onSoonDue(domain, daysLeft) {
      events.publish({ type: 'certificateSoonDue', domain, daysLeft })
      options.onCertificateSoonDue?.(domain, daysLeft)
    },
    intervalMs: options.certificateIntervalMs,
  })
  const enforcement = createEnforcement({ db, writes, position, online, publish, runtime, log })
  const routing = createRouting({ ...xray, row: routingRow, writes, engine, runtime })
  const changes = createChanges(db, rows, position)
  const logTails = createLogTails({ runtime })
  const machine = createMachine({
    dir: dirname(dir),
    runtime,
    publicAddress: options.publicAddress,
    xray: () => {
      const { pid, startedAt } = xray.process.state()
      return pid === null || startedAt === null ? null : { pid, startedAt }
    },
  })

  const logFile = (source: 'xray' | 'output'): string => (source === 'xray' ? paths.log : paths.output)

  let xrayVersionKnown: string | null = null
  const stopping = new AbortController()
  let ticking: Promise<void> | undefined

  async function online(): Promise<Awaited<ReturnType<typeof engine.online>> | null> {
    if (!engine.state().running) return []
    return engine.online().catch(() => null)
  }

  /** What is done with nobody watching: read, keep limits, mend. */
  async function tick(): Promise<void> {
    try {
      clock.note()
    } catch (error) {
      log.debug({ error }, 'the time was not noted')
    }
    // Not amid a change: one that is taken back would take along what was counted meanwhile.
    await writes.exclusive(() => control.account())
    await enforcement.run()
    await writes.mend()
    await xray.rotateLogs()
  }

  async function keepTicking(): Promise<void> {
    for (;;) {
      await runtime.sleep(options.accountingIntervalMs ?? DEFAULT_ACCOUNTING_INTERVAL_MS, stopping.signal)
      await tick()
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
      // As the machine has it: it is compared with others.
      time: options.runtime.now(),
    }
  }

  const operations: NodeOperations = {
    ...createInbounds({
      ...xray,
      db,
      rows,
      writes,
      engine,
      answers,
      position,
      runtime,
      inboundListen,
      prepare: createPrepareInbound(runtime, (domain) => certificates.pinOf(domain)),
    }),
    ...createClients({ db, rows, writes, engine, position, runtime }),
    ...routing.operations,
    ...createTraffic({ db, rows, position, runtime }),
    ...control.operations,
    ...certificates.operations,
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
    'system.logs': ({ source, ...wanted }) => {
      const file = logFile(source)
      return lastLines([file, oldLog(file)], wanted)
    },
    'system.tail': async ({ source, ...request }, _, { signal }) =>
      logTails.read(logFile(source), request, signal),
    'sync.changes': async (query) => changes(query),
    'sync.events': async (asked, _, { signal, lastEventId }) =>
      events.read(placeOf(asked, lastEventId), signal),
  }

  return {
    operations,
    publish: events.publish,

    async start() {
      position.begin()
      events.begin(position.read().epoch)
      xrayVersionKnown = await xray.version().catch(() => null)
      await xray.tidy()
      await certificates.begin()
      await control.begin()
      await enforcement.run()
      certificates.start()
      // Ends by the abort alone.
      ticking = keepTicking().catch(() => undefined)
    },

    async stop({ stopXray = false } = {}) {
      stopping.abort()
      events.close()
      await certificates.stop()
      await ticking
      logTails.close()
      await control.end(stopXray)
      api.close()
    },
  }
}
