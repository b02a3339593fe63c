import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { createByteReader } from '#src/node/backup/byte-reader.ts'
import { readHeader, sealBackup, unsealBackup } from '#src/node/backup/format.ts'
import { type Node, createNode } from '#src/node/node.ts'
import { systemRuntime } from '#src/runtime.ts'
import { type Migration, readMigrations } from '#src/store/migrate.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { bytesOf, contentOf, inParts, passphrase } from './backup-files.ts'
import { type FakeXray, createFakeXray } from './fake-xray.ts'
import { silentLog } from './silent-log.ts'

export const allMigrations = readMigrations(join(import.meta.dirname, '../../migrations'))

/** A node over a real file, with an Xray in memory: for everything that is about rows. */
export interface PaperNode {
  node: Node
  db: Sqlite
  xray: FakeXray
  dir: string
  addInbound(tag: string, port: number): Promise<number>
  addClients(tag: string, ...emails: string[]): Promise<void>
  deleteClient(email: string): Promise<void>
  /** Who stands in what, as the running Xray has it: `main: anna bert`. */
  served(): string[]
  stop(): Promise<void>
}

const HOUR_MS = 60 * 60 * 1000

export async function startPaperNode(
  options: { key?: Buffer; migrations?: readonly Migration[]; version?: string; parent?: string } = {},
): Promise<PaperNode> {
  const dir = mkdtempSync(join(options.parent ?? tmpdir(), 'paper-'))
  const { migrations = allMigrations, key = Buffer.alloc(32, 7), version = '1.2.3' } = options
  const runtime = systemRuntime()
  const db = openStore({ file: join(dir, 'node.db'), migrations, now: runtime.now() })
  db.pragma('synchronous = OFF')
  const xray = createFakeXray()
  const node = createNode(
    {
      db,
      box: secretBoxFor(key),
      runtime,
      log: silentLog(),
      binary: 'xray',
      dir: join(dir, 'xray'),
      installDir: join(dir, 'xray-bin'),
      version,
      migrations,
      publicAddress: 'paper.example',
      // Nothing changes it but what a test asks for, however long that takes.
      accountingIntervalMs: HOUR_MS,
    },
    xray.parts,
  )
  await node.start()
  const { operations } = node
  const once = () => ({ idempotencyKey: randomUUID() })
  return {
    node,
    db,
    xray,
    dir,
    async addInbound(tag, port) {
      const stream = { transport: { type: 'raw' }, security: { type: 'none' } }
      const input = inboundInput.parse({ tag, port, protocol: 'vless', stream })
      return (await operations['inbounds.add'](input, once())).id
    },
    async addClients(tag, ...emails) {
      const clients = emails.map((email) =>
        clientInput.parse({ email, uuid: randomUUID(), subscriptionId: randomUUID() }),
      )
      await operations['clients.add']({ id: tag, clients }, once())
    },
    deleteClient: async (email) => void (await operations['clients.delete']({ email }, once())),
    served: () =>
      [...xray.inbounds.values()]
        .map(({ tag, users }) => [`${tag}:`, ...[...users.keys()].map(withoutId).toSorted()].join(' '))
        .toSorted(),
    async stop() {
      await node.stop()
      db.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

const withoutId = (name: string): string => name.replace(/#\d+$/, '')

/** A backup whose database somebody has changed who knows the passphrase. */
export async function tamperedWith(file: Buffer, change: (db: Sqlite) => void): Promise<Buffer> {
  return resealed(file, (database) => {
    const dir = mkdtempSync(join(tmpdir(), 'tampered-'))
    try {
      const path = join(dir, 'copy.db')
      writeFileSync(path, database)
      const db = new Database(path)
      db.unsafeMode()
      change(db)
      const changed = db.serialize()
      db.close()
      return changed
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
}

/** A backup with other bytes in it than a node put there. */
export async function resealed(file: Buffer, change: (content: Buffer) => Buffer): Promise<Buffer> {
  const reader = createByteReader(inParts(file))
  const header = await readHeader(reader)
  const content = await bytesOf(unsealBackup(header, reader, passphrase))
  const cost = { N: 2 ** 14, r: 8, p: 1 }
  return bytesOf(sealBackup(contentOf(change(content)), { passphrase, info: header, cost }))
}
