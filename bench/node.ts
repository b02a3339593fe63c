/** A node with a real Xray and a real file in a folder of its own, as the product runs one. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNode, type Node, type NodeOptions } from '#src/node/node.ts'
import { systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore, type Sqlite } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { xrayPaths } from '#src/xray/life/process.ts'

export interface BenchNode {
  /** The one that runs now. */
  node: Node
  db: Sqlite
  /** Of what is sealed in the database. */
  key: Buffer
  /** Where Xray's files are. */
  paths: ReturnType<typeof xrayPaths>
  /** Another database beside the node's: the same schema and settings, on the same disk. */
  openSibling(name: string): Sqlite
  /** The process id of the Xray that runs. */
  xrayPid(): Promise<number>
  /** Ends the node and its Xray; what it has written stays. */
  end(): Promise<void>
  /** Starts a node over what the last one has left. */
  begin(): Promise<void>
  stop(): Promise<void>
}

const quiet = () => undefined
const log = { debug: quiet, info: quiet, warn: console.warn, error: console.error }

export async function startBenchNode(
  binary: string,
  options: Pick<NodeOptions, 'allowPrivateTargets' | 'accountingIntervalMs'> = {},
): Promise<BenchNode> {
  const dir = await mkdtemp(join(tmpdir(), 'fleetgram-bench-'))
  const runtime = systemRuntime()
  const migrations = readMigrations(join(import.meta.dirname, '../migrations'))
  const open: Sqlite[] = []
  const openSibling = (name: string): Sqlite => {
    const db = openStore({ file: join(dir, name), migrations, now: runtime.now() })
    open.push(db)
    return db
  }
  const db = openSibling('node.db')
  const key = runtime.randomBytes(32)
  const box = secretBoxFor(key)
  const xrayDir = join(dir, 'xray')
  const make = (): Node =>
    createNode({
      db,
      box,
      runtime,
      log,
      binary,
      ...options,
      dir: xrayDir,
      installDir: join(dir, 'xray-bin'),
      migrations,
      version: 'bench',
      publicAddress: '127.0.0.1',
    })
  const paths = xrayPaths(xrayDir)
  const it: BenchNode = {
    node: make(),
    db,
    key,
    paths,
    openSibling,
    async xrayPid() {
      const { pid } = JSON.parse(await readFile(paths.pid, 'utf8')) as { pid: number }
      return pid
    },
    end: () => it.node.stop({ stopXray: true }),
    async begin() {
      it.node = make()
      await it.node.start()
    },
    async stop() {
      await it.end()
      for (const one of open) one.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
  await it.node.start()
  return it
}
