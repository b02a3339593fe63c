import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Faults } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { CutMode } from '#src/node/limits/cut.ts'
import type { LimitEvent } from '#src/node/limits/limit-events.ts'
import { type Node, type NodeOptions, createNode } from '#src/node/node.ts'
import { type Rows, createRows } from '#src/node/rows/rows.ts'
import { createSettings } from '#src/node/rows/settings.ts'
import { type XrayParts, realXray } from '#src/node/engine/xray-parts.ts'
import { systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import type { Download } from '#src/xray/programs/download.ts'
import { programPath } from '#src/xray/programs/programs.ts'
import { silentLog } from './silent-log.ts'
import { xrayBinary } from './xray-binary.ts'

export interface TestNode {
  /** Holds its database, node.db, and the folder of its Xray. */
  dir: string
  db: Sqlite
  node: Node
  /** What it has said of limits. */
  events: LimitEvent[]
  /**
   * What a restart of our process is to Xray: let go, and begin again over the same files; `between` both if given,
   * with a hand on the rows.
   */
  restart(between?: (rows: Rows) => void): Promise<void>
  stop(): Promise<void>
}

interface TestNodeOptions {
  host?: string
  binary?: string
  pinned?: boolean
  download?: Download
  /** As on a real server: clients reach no loopback. */
  closed?: boolean
  log?: Log
  /** What stands between the node and the real Xray. */
  through?: (real: XrayParts) => XrayParts
  faults?: Faults
  cut?: CutMode
  /** That seals what is secret in its rows. */
  key?: Buffer
  node?: Partial<NodeOptions>
}

/** How often a node of a test reads traffic and looks at limits, ms. */
const INTERVAL_MS = 200

const testMigrations = () => readMigrations(join(import.meta.dirname, '../../migrations'))
const testBox = ({ key }: TestNodeOptions) => secretBoxFor(key ?? Buffer.alloc(32, 7))

export function openTestStore(dir: string): Sqlite {
  return openStore({
    file: join(dir, 'node.db'),
    migrations: testMigrations(),
    now: systemRuntime().now(),
  })
}

/** What a node over this folder is made with, in whatever process. */
export function testNodeOptions(dir: string, db: Sqlite, options: TestNodeOptions = {}): NodeOptions {
  const installDir = join(dir, 'xray-bin')
  // As in the product, the tests' own Xray being what lies on PATH.
  const chosen = createSettings(db).xrayVersion()
  return {
    binary: options.binary ?? (chosen === null ? xrayBinary() : programPath(installDir, chosen)),
    pinned: options.pinned,
    installDir,
    db,
    box: testBox(options),
    runtime: systemRuntime(),
    log: options.log ?? silentLog(),
    dir: join(dir, 'xray'),
    version: '0.0.0-test',
    migrations: testMigrations(),
    publicAddress: options.host ?? '127.0.0.1',
    allowPrivateTargets: options.closed !== true,
    accountingIntervalMs: INTERVAL_MS,
    cut: options.cut ?? 'off',
    download: options.download ?? (() => Promise.reject(new Error('a test has no internet'))),
    faults: options.faults,
    ...options.node,
  }
}

/** A node with a real Xray and a real file, in a folder of its own. */
export async function startTestNode(options: TestNodeOptions & { parent?: string } = {}): Promise<TestNode> {
  return openTestNode(await mkdtemp(join(options.parent ?? tmpdir(), 'node-')), options)
}

/** The same in a folder that is there, with what is in it. */
export async function openTestNode(dir: string, options: TestNodeOptions = {}): Promise<TestNode> {
  const db = openTestStore(dir)
  const events: LimitEvent[] = []
  const begin = async (): Promise<Node> => {
    const given = { publish: (event: LimitEvent) => events.push(event), ...testNodeOptions(dir, db, options) }
    const real = realXray(given)
    const node = createNode(given, options.through?.(real) ?? real)
    await node.start()
    return node
  }
  const test: TestNode = {
    dir,
    db,
    node: await begin(),
    events,
    async restart(between) {
      await test.node.stop()
      between?.(createRows(db, testBox(options)))
      test.node = await begin()
    },
    async stop() {
      await test.node.stop({ stopXray: true })
      db.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
  return test
}
