/**
 * The least that adding or removing a client could cost: one call of Xray's API, and one commit that survives a power
 * cut. Over a table of the same shape with as many rows, in a file of its own.
 */
import { randomUUID } from 'node:crypto'
import { xrayName } from '#src/xray/config/user-name.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import { tag } from './people.ts'

export interface Bare {
  /** Only rows: Xray has its users from the node. */
  fill(rows: number): void
  add(name: string): Promise<void>
  remove(name: string): Promise<void>
}

export function bareClients(api: XrayApi, inboundId: number, db: Sqlite): Bare {
  const insert = db.prepare(
    `insert into clients (server_id, id, email, email_key, credentials, flow, enabled, comment, row_version,
       change_seq, created_at, updated_at)
     values (1, ?, ?, ?, ?, 'xtls-rprx-vision', 1, '', 1, ?, ?, ?)`,
  )
  const remove = db.prepare('delete from clients where server_id = 1 and email_key = ?')
  let id = 0
  const write = (name: string, uuid: string): void => {
    const now = Date.now()
    id++
    insert.run(id, name, name, JSON.stringify({ uuid, subscriptionId: uuid }), id, now, now)
  }
  return {
    fill: (rows) =>
      db.transaction(() => {
        for (let row = 0; row < rows; row++) write(`filled-${id}`, randomUUID())
      })(),
    async add(name) {
      const uuid = randomUUID()
      await api.addUser(tag, {
        email: xrayName(name, inboundId),
        account: { type: 'vless', id: uuid, flow: 'xtls-rprx-vision' },
      })
      write(name, uuid)
    },
    async remove(name) {
      await api.removeUser(tag, xrayName(name, inboundId))
      remove.run(name)
    },
  }
}
