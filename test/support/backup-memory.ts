/**
 * How much memory a backup takes: a program of its own, so that nothing else is measured. Prints one line of JSON, sizes
 * in bytes. To be run with the flags the product is started with, and --expose-gc.
 */
import { randomUUID } from 'node:crypto'
import { createWriteStream, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { passphrase } from './backup-files.ts'
import { startPaperNode } from './paper-node.ts'

export interface BackupMemory {
  /** Of the node's database. */
  database: number
  /** Of the backup. */
  file: number
  /** By how much the process grew at most while it was made. */
  grown: number
}

const clients = Number(process.argv[2])
const it = await startPaperNode()
await it.addInbound('main', 443)
fill()

const memory = (field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024

globalThis.gc?.()
await sleep(500)
const before = memory('VmRSS')
// Sets the high-water mark down to what is taken now.
writeFileSync('/proc/self/clear_refs', '5')
const file = join(it.dir, 'a.backup')
await pipeline(await it.node.operations['backups.create']({ passphrase }), createWriteStream(file))
const result: BackupMemory = {
  database: statSync(join(it.dir, 'node.db')).size,
  file: statSync(file).size,
  grown: memory('VmHWM') - before,
}
process.stdout.write(`${JSON.stringify(result)}\n`)
await it.stop()

function fill(): void {
  const box = secretBoxFor(Buffer.alloc(32, 7))
  const add = it.db.prepare(
    `insert into clients (server_id, id, email, email_key, credentials, flow, enabled, comment, row_version, change_seq,
       created_at, updated_at) values (1, @id, @name, @name, @credentials, '', 0, @comment, 1, 1, 1, 1)`,
  )
  const place = it.db.prepare(
    'insert into client_inbounds (server_id, client_id, inbound_id) values (1, ?, 1)',
  )
  const count = it.db.prepare(
    'insert into client_traffics (server_id, client_id, up, down, traffic_seq) values (1, ?, 1, 2, 1)',
  )
  it.db.transaction(() => {
    for (let id = 2; id < clients + 2; id++) {
      const credentials = JSON.stringify({ uuid: randomUUID(), subscriptionId: randomUUID() })
      const sealed = box.seal(credentials, `clients:1:${id}:credentials`)
      add.run({ id, name: `client-${id}`, credentials: sealed, comment: 'c'.repeat(120) })
      place.run(id)
      count.run(id)
    }
    it.db.prepare('update sync_states set next_id = ?').run(clients + 2)
  })()
  it.db.pragma('wal_checkpoint(truncate)')
}
