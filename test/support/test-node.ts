import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CutMode } from '#src/node/cut.ts'
import type { LimitEvent } from '#src/node/limit-events.ts'
import { type Node, type NodeOptions, createNode } from '#src/node/node.ts'
import { systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import { silentLog } from './silent-log.ts'
import { xrayBinary } from './xray-binary.ts'

export interface TestNode {
  /** Holds its database, node.db, and the folder of its Xray. */
  dir: string
  db: Sqlite
  node: Node
  /** What it has said of limits. */
  events: LimitEvent[]
  /** What a restart of our process is to Xray: let go, and begin again over the same files. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** How often a node of a test reads traffic and looks at limits, ms. */
const INTERVAL_MS = 200

export function openNodeDatabase(dir: string): Sqlite {
  return openStore({
    file: join(dir, 'node.db'),
    migrations: readMigrations(join(import.meta.dirname, '../../migrations')),
    now: Date.now(),
  })
}

/** What a node over this folder is made with, in whatever process. */
export function nodeOptions(dir: string, db: Sqlite): NodeOptions {
  return {
    db,
    box: createSecretBox([{ id: 'test', key: Buffer.alloc(32, 7) }]),
    runtime: systemRuntime(),
    log: silentLog(),
    binary: xrayBinary(),
    dir: join(dir, 'xray'),
    version: '0.0.0-test',
    publicAddress: '127.0.0.1',
    allowPrivateTargets: true,
    accountingIntervalMs: INTERVAL_MS,
    cut: 'off',
  }
}

/** A node with a real Xray and a real file, in a folder of its own. */
export async function startTestNode(
  options: { host?: string; binary?: string; parent?: string; cut?: CutMode } = {},
): Promise<TestNode> {
  const dir = await mkdtemp(join(options.parent ?? tmpdir(), 'node-'))
  const db = openNodeDatabase(dir)
  const events: LimitEvent[] = []
  const make = (): Node =>
    createNode({
      ...nodeOptions(dir, db),
      binary: options.binary ?? xrayBinary(),
      publicAddress: options.host ?? '127.0.0.1',
      cut: options.cut ?? 'off',
      publish: (event) => events.push(event),
    })
  const test: TestNode = {
    dir,
    db,
    node: make(),
    events,
    async restart() {
      await test.node.stop()
      test.node = make()
      await test.node.start()
    },
    async stop() {
      await test.node.stop({ stopXray: true })
      db.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
  await test.node.start()
  return test
}
