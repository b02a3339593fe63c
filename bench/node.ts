/** A node with a real Xray and a real file in a folder of its own, as the product runs one. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNode, type Node } from '#src/node/node.ts'
import { systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore, type Sqlite } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { xrayPaths } from '#src/xray/process.ts'

export interface BenchNode {
  node: Node
  /** Xray's API. */
  socket: string
  /** Another database beside the node's: the same schema and settings, on the same disk. */
  openSibling(name: string): Sqlite
  stop(): Promise<void>
}

const quiet = () => undefined
const log = { debug: quiet, info: quiet, warn: console.warn, error: console.error }

export async function startBenchNode(binary: string): Promise<BenchNode> {
  const dir = await mkdtemp(join(tmpdir(), 'fleetgram-bench-'))
  const runtime = systemRuntime()
  const migrations = readMigrations(join(import.meta.dirname, '../migrations'))
  const open: Sqlite[] = []
  const openSibling = (name: string): Sqlite => {
    const db = openStore({ file: join(dir, name), migrations, now: runtime.now() })
    open.push(db)
    return db
  }
  const xrayDir = join(dir, 'xray')
  const node = createNode({
    db: openSibling('node.db'),
    box: secretBoxFor(runtime.randomBytes(32)),
    runtime,
    log,
    binary,
    dir: xrayDir,
    installDir: join(dir, 'xray-bin'),
    version: 'bench',
    publicAddress: '127.0.0.1',
  })
  await node.start()
  return {
    node,
    socket: xrayPaths(xrayDir).socket,
    openSibling,
    async stop() {
      await node.stop({ stopXray: true })
      for (const db of open) db.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
