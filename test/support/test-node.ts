import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Node, createNode } from '#src/node/node.ts'
import { type Rows, createRows } from '#src/node/rows.ts'
import { systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import { silentLog } from './silent-log.ts'
import { xrayBinary } from './xray-binary.ts'

export interface TestNode {
  /** Holds its database and, in `xray`, Xray's files. */
  dir: string
  db: Sqlite
  node: Node
  /** What a restart of our process is to Xray: let go, and begin again over the same files, or what becomes of them. */
  restart(meanwhile?: (rows: Rows) => void): Promise<void>
  stop(): Promise<void>
}

/** A node with a real Xray and a real file, in a folder of its own. Traffic is read when a test asks for it. */
export async function startTestNode(
  options: { host?: string; binary?: string; parent?: string } = {},
): Promise<TestNode> {
  const dir = await mkdtemp(join(options.parent ?? tmpdir(), 'node-'))
  const runtime = systemRuntime()
  const db = openStore({
    file: join(dir, 'node.db'),
    migrations: readMigrations(join(import.meta.dirname, '../../migrations')),
    now: runtime.now(),
  })
  const box = createSecretBox([{ id: 'test', key: Buffer.alloc(32, 7) }])
  const make = (): Node =>
    createNode({
      db,
      box,
      runtime,
      log: silentLog(),
      binary: options.binary ?? xrayBinary(),
      dir: join(dir, 'xray'),
      version: '0.0.0-test',
      publicAddress: options.host ?? '127.0.0.1',
      allowPrivateTargets: true,
      accountingIntervalMs: 200,
    })
  const test: TestNode = {
    dir,
    db,
    node: make(),
    async restart(meanwhile) {
      await test.node.stop()
      meanwhile?.(createRows(db, box))
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
