import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Node, type NodeOptions, createNode } from '#src/node/node.ts'
import { createSettings } from '#src/node/settings.ts'
import { systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import type { Download } from '#src/xray/download.ts'
import { programPath } from '#src/xray/programs.ts'
import { silentLog } from './silent-log.ts'
import { xrayBinary } from './xray-binary.ts'

export interface TestNode {
  /** Holds its database and, in `xray`, Xray's files. */
  dir: string
  db: Sqlite
  node: Node
  /** What a restart of our process is to Xray: let go, and begin again over the same files. */
  restart(): Promise<void>
  stop(): Promise<void>
}

interface TestNodeOptions {
  host?: string
  binary?: string
  pinned?: boolean
  download?: Download
}

/** A node with a real Xray and a real file, in a folder of its own. Traffic is read when a test asks for it. */
export async function startTestNode(options: TestNodeOptions & { parent?: string } = {}): Promise<TestNode> {
  return openTestNode(await mkdtemp(join(options.parent ?? tmpdir(), 'node-')), options)
}

/** The same in a folder that is there, with what is in it. */
export async function openTestNode(dir: string, options: TestNodeOptions = {}): Promise<TestNode> {
  const db = openTestStore(dir)
  const begin = async (): Promise<Node> => {
    const node = createNode(testNodeOptions(dir, db, options))
    await node.start()
    return node
  }
  const test: TestNode = {
    dir,
    db,
    node: await begin(),
    async restart() {
      await test.node.stop()
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

export function openTestStore(dir: string): Sqlite {
  return openStore({
    file: join(dir, 'node.db'),
    migrations: readMigrations(join(import.meta.dirname, '../../migrations')),
    now: systemRuntime().now(),
  })
}

export function testNodeOptions(dir: string, db: Sqlite, options: TestNodeOptions = {}): NodeOptions {
  const installDir = join(dir, 'xray-bin')
  // As in the product, the tests' own Xray being what lies on PATH.
  const chosen = createSettings(db).xrayVersion()
  return {
    binary: options.binary ?? (chosen === null ? xrayBinary() : programPath(installDir, chosen)),
    pinned: options.pinned,
    installDir,
    db,
    box: createSecretBox([{ id: 'test', key: Buffer.alloc(32, 7) }]),
    runtime: systemRuntime(),
    log: silentLog(),
    dir: join(dir, 'xray'),
    version: '0.0.0-test',
    publicAddress: options.host ?? '127.0.0.1',
    allowPrivateTargets: true,
    accountingIntervalMs: 200,
    download: options.download ?? (() => Promise.reject(new Error('a test has no internet'))),
  }
}
