/** A node: one server's state, its rules, and the Xray it looks after. Works on with nobody watching. */
import os from 'node:os'
import { join } from 'node:path'
import type { Runtime } from '#src/runtime.ts'
import { certificateFiles } from '#src/xray/config/certificate-files.ts'
import { xrayPaths } from '#src/xray/life/process.ts'
import { createAccounting } from './accounting.ts'
import { createAnswers } from './writes/answers.ts'
import { createBackups } from './backup/backups.ts'
import { createCertificateUsers } from './certificates/certificate-users.ts'
import { defaultAcme } from './certificates/acme/settings.ts'
import { createCertificates } from './certificates/certificates.ts'
import { createChanges } from './changes.ts'
import { createClients } from './clients.ts'
import { createNodeClock } from './machine/clock.ts'
import { type CommandKind, createCommands } from './engine/commands.ts'
import { createEngine } from './engine/engine.ts'
import { createEvents, placeOf } from './events/events.ts'
import { createGeo } from './software/geo.ts'
import { createInbounds } from './inbounds.ts'
import { createInstall } from './software/install.ts'
import { happeningOf } from './limits/limit-events.ts'
import { createLimitKeeper } from './limits/limit-keeper.ts'
import { machineUptime } from './machine/machine.ts'
import type { Node, NodeOptions } from './node-options.ts'
import type { NodeOperations } from './operations.ts'
import { createPlacements } from './rows/placements.ts'
import { createPosition } from './rows/position.ts'
import { createPrepareInbound } from './prepare-inbound.ts'
import { createReports } from './reports.ts'
import { createRouting } from './routing.ts'
import { createRoutingRow } from './rows/routing-row.ts'
import { createReplacements } from './writes/replacement.ts'
import { createRows } from './rows/rows.ts'
import { viewRows } from './rows/rows-view.ts'
import { createSettings } from './rows/settings.ts'
import type { Command } from './rows/snapshot.ts'
import { createTicking } from './ticking.ts'
import { createTraffic } from './traffic.ts'
import { createWrites } from './writes/writes.ts'
import { FILE_EVERY_MS, createXrayControl } from './engine/xray-control.ts'
import { tellOfXray } from './engine/xray-news.ts'
import { type XrayParts, realXray } from './engine/xray-parts.ts'

export type { Node, NodeOptions } from './node-options.ts'

/** Whoever has used up what is theirs is refused within 15 s: this long until it is read, the rest to act on it. */
const DEFAULT_ACCOUNTING_INTERVAL_MS = 10_000

/** @param xray what is done with Xray itself; another one than the real is for tests of everything around it */
export function createNode(options: NodeOptions, xray: XrayParts = realXray(options)): Node {
  const { db, box, log, dir, pinned = false } = options
  const settings = createSettings(db)
  const clock = createNodeClock(options.runtime, settings, machineUptime)
  const runtime: Runtime = { ...options.runtime, now: clock.now }
  const paths = xrayPaths(dir)
  const rows = createRows(db, box)
  const placements = createPlacements(db)
  const position = createPosition(
    db,
    () => runtime.uuid(),
    () => events.moved(),
  )
  const events = createEvents({ runtime, settings, position: position.read, xray: () => control.state() })
  tellOfXray(xray.process, paths.output, events)
  xray.process.setLastAct(() => control.lastAccount())
  const routingRow = createRoutingRow(db, box)
  const answers = createAnswers(db, rows, options.publicAddress ?? os.hostname())
  const engine = createEngine({
    ...xray,
    rows,
    placements,
    certificateFiles: (domain) => certificateFiles(dir, domain),
    routing: () => routingRow.read().document,
    openRouting: routingRow.open,
    accessLog: () => limits.accessLog(),
    log,
    paths,
    allowPrivateTargets: options.allowPrivateTargets ?? false,
  })
  const writes = createWrites({
    db,
    box,
    runtime,
    age: clock.lived,
    log,
    position,
    view: (known) => viewRows(rows, known),
    push: async (before, now) => {
      if (before.command !== undefined) await kindOf(before.command)?.requireDone(before.command)
      await certificates.follow(before)
      await engine.push(before, now)
    },
    async reconcile(reopen) {
      // Rows may have been replaced, and an inbound is opened with the files of its certificate.
      await certificates.begin()
      return engine.reconcile(reopen)
    },
    answer(operation, before, now) {
      if (operation === 'routing.set') return routing.answer(before)
      if (operation.startsWith('certificates.')) return certificates.answer(operation, before)
      if (before.command === undefined) return answers.after(operation, before, now)
      return kindOf(before.command)?.answer(before.command)
    },
    applied: (before, now) => limits.applied(before, now),
    faults: options.faults,
  })
  const accounting = createAccounting({ db, position, now: () => runtime.now() })
  const commands = createCommands({ writes, engine })
  const control = createXrayControl({ engine, writes, commands, settings, accounting, log })
  const geo = createGeo({ xray, engine, commands, settings })
  const install = createInstall({ xray, engine, commands, settings, runtime, log, pinned })
  const kinds: Record<string, CommandKind> = { ...control.kinds, ...geo.kinds, ...install.kinds }
  /** undefined for what is more than a command, as a change of routing that needs a restart. */
  const kindOf = ({ operation }: Command): CommandKind | undefined => kinds[operation]

  const certificates = createCertificates({
    db,
    box,
    // By the machine's own clock, as whoever looks at a certificate does.
    runtime: options.runtime,
    log,
    writes,
    acme: options.acme ?? defaultAcme,
    dir,
    users: createCertificateUsers(rows),
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
  const limits = createLimitKeeper({
    ...options,
    writes,
    position,
    xray,
    engine,
    accounting,
    restartXray: () => control.restart(),
    publish(event) {
      events.publish(happeningOf(event))
      options.publish?.(event)
    },
    runtime,
    mayBeLater: clock.mayBeLater,
  })
  const routing = createRouting({ ...xray, row: routingRow, writes, engine, runtime })
  const changes = createChanges(db, rows, position)
  const reports = createReports({
    process: xray.process,
    xrayVersion: () => install.version(),
    state: () => control.state(),
    position,
    runtime: options.runtime,
    dir,
    version: options.version,
    publicAddress: options.publicAddress,
  })
  const backups = createBackups({
    ...xray,
    db,
    box,
    runtime,
    rows,
    position,
    engine,
    replacements: createReplacements({ db, box, runtime, log, writes, faults: options.faults }),
    migrations: options.migrations,
    folder: join(dir, 'backups'),
    release: options.version,
    faults: options.faults,
  })

  const ticking = createTicking({
    runtime,
    log,
    intervalMs: options.accountingIntervalMs ?? DEFAULT_ACCOUNTING_INTERVAL_MS,
    steps: [
      ['note the time', () => clock.note()],
      // Not amid a change: one that is taken back would take along what was counted meanwhile.
      ['count traffic', () => limits.whileWaiting(() => writes.exclusive(() => control.account()))],
      ['keep limits', () => limits.whileWaiting(() => limits.round())],
      ['mend Xray', () => writes.mend()],
      ['heal Xray', () => control.heal()],
      ['rotate logs', () => xray.rotateLogs()],
      ['keep the file', () => control.keepFile(), FILE_EVERY_MS],
    ],
  })

  const changeDeps = { ...xray, db, rows, placements, writes, engine, answers, position, runtime }
  const operations: NodeOperations = {
    ...createInbounds({
      ...changeDeps,
      inboundListen: options.inboundListen ?? '0.0.0.0',
      prepare: createPrepareInbound(runtime, (domain) => certificates.pinOf(domain)),
    }),
    ...createClients({
      ...changeDeps,
      onNewCredentials: (email) => limits.renewed(email),
    }),
    ...routing.operations,
    ...createTraffic({ db, rows, position, runtime }),
    ...control.operations,
    ...geo.operations,
    ...install.operations,
    ...certificates.operations,
    ...reports.operations,
    'sync.changes': async (query) => changes(query),
    'sync.events': async (asked, _, { signal, lastEventId }) =>
      events.read(placeOf(asked, lastEventId), signal),
    'backups.create': backups['backups.create'],
    'backups.restore': backups['backups.restore'],
  }

  return {
    operations,
    publish: events.publish,

    async start() {
      position.begin()
      events.begin(position.read().epoch)
      clock.note()
      await xray.tidy()
      await backups.tidy()
      await install.look()
      await certificates.begin()
      await limits.begin()
      await control.begin()
      await limits.round()
      certificates.start()
      ticking.start()
    },

    async stop({ stopXray = false } = {}) {
      events.close()
      reports.close()
      await certificates.stop()
      await ticking.stop()
      await control.end(stopXray)
      await limits.end()
      xray.api.close()
    },
  }
}
