import { getTableName, is } from 'drizzle-orm'
import { SQLiteTable } from 'drizzle-orm/sqlite-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as schema from '#src/store/schema.ts'
import { type Sqlite, openStore } from '#src/store/open.ts'
import { allMigrations } from '#test/support/paper-node.ts'
import { columnsOf, copied, dependents, entities } from './tables.ts'

/** Not in a backup, and why. */
const leftOut: Record<string, string> = {
  settings: 'the CA of the fleet, and facts of this machine',
  identities: 'who may speak for a server now',
  join_tokens: 'who may join now',
  server_tasks: 'the journal of the fleet',
  applied_tasks: 'what was asked of this database, and answered',
  xray_counters: 'belong to the Xray that runs now',
  server_health: 'what the fleet knows of its servers now',
  server_transitions: 'the history of the fleet',
  incidents: 'the history of the fleet',
  outbox: 'what the chat must still be told',
  update_inbox: 'what was said in the chat',
  drafts: 'what was begun in the chat',
  taps: 'buttons of the chat',
  chats: 'messages of the chat',
}

const tables = Object.values(schema).flatMap((each) => (is(each, SQLiteTable) ? [getTableName(each)] : []))

let db: Sqlite
beforeAll(() => {
  db = openStore({ file: ':memory:', migrations: allMigrations, now: 0 })
})
afterAll(() => db.close())

describe('what is in a backup', () => {
  test('is said of every table: a new one is added to tables.ts, or here', () => {
    expect([...copied, ...Object.keys(leftOut)].toSorted()).toEqual(tables.toSorted())
  })

  test('names columns there are', () => {
    for (const { table, name, sealed, proof, members } of entities) {
      const columns = columnsOf(db, table)
      expect(columns).toEqual(
        expect.arrayContaining(['server_id', 'id', 'row_version', 'change_seq', 'created_at']),
      )
      expect(columns).toEqual(
        expect.arrayContaining([name, ...sealed, ...(proof === undefined ? [] : [proof])]),
      )
      if (members !== undefined)
        expect(columnsOf(db, members.table)).toEqual(['server_id', members.own, members.other])
    }
    for (const { table, key, refers, sealed, merge, parts = {} } of dependents) {
      const named = [...key, ...Object.keys(refers), ...sealed, ...Object.entries(parts).flat()]
      const newer = typeof merge === 'string' ? [] : [merge.newer]
      expect(columnsOf(db, table)).toEqual(expect.arrayContaining(['server_id', ...named, ...newer]))
    }
  })

  test('comes with what it refers to, parents first', () => {
    for (const [at, table] of copied.entries()) {
      const parents = db.prepare('select distinct "table" from pragma_foreign_key_list(?)').pluck().all(table)
      expect(copied.slice(0, at), table).toEqual(expect.arrayContaining(parents))
    }
  })
})
