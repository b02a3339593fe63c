import { beforeEach, describe, expect, test } from 'vitest'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore } from '#src/store/open.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import { unlimited } from '../limits/limits.ts'
import type { ClientRecord, InboundRecord } from './records.ts'
import { createRows, type Rows } from './rows.ts'
import { viewRows } from './rows-view.ts'

const inbound = (id: number): InboundRecord => ({
  id,
  tag: `in-${id}`,
  remark: '',
  protocol: 'vless',
  settings: { fallbacks: [] },
  linkSecrets: {},
  listen: '127.0.0.1',
  port: 1000 + id,
  stream: { transport: { type: 'raw' }, security: { type: 'none' } },
  secrets: { privateKey: `key of ${id}` },
  sniffing: { enabled: false, destOverride: [] },
  enabled: true,
  limitBytes: null,
  expiresAt: null,
  trafficReset: 'never',
  nextResetAt: null,
  blocked: null,
  rowVersion: 1,
  changeSeq: 1,
  createdAt: 0,
  updatedAt: 0,
})

const client = (id: number, inbounds: number[]): ClientRecord => ({
  id,
  email: `Client ${id}`,
  uuid: '11111111-1111-4111-8111-111111111111',
  password: 'a password',
  subscriptionId: `subscription-${id}`,
  flow: '',
  enabled: true,
  comment: '',
  ...unlimited,
  telegramId: null,
  blocked: null,
  inbounds,
  rowVersion: 1,
  changeSeq: 1,
  createdAt: 0,
  updatedAt: 0,
})

let rows: Rows
beforeEach(() => {
  const db = openStore({ file: ':memory:', migrations: readMigrations('migrations'), now: 0 })
  rows = createRows(db, createSecretBox([{ id: 'k', key: Buffer.alloc(32, 1) }]))
  for (const id of [1, 2]) rows.saveInbound(inbound(id))
})

describe('inbounds', () => {
  test('come with their private key only where it is asked for', () => {
    const { secrets: _, ...settings } = inbound(1)
    expect(rows.inbound(1)).toEqual(inbound(1))
    expect(rows.inboundSettings(1)).toEqual(settings)
    expect(rows.inboundByTag('in-1')).toEqual(settings)
    expect(rows.allInboundSettings()).toEqual(
      [1, 2].map((id) => ({ ...settings, id, tag: `in-${id}`, port: 1000 + id })),
    )
  })
})

describe('clients', () => {
  test('of an inbound are those that stand in it, in the order they came', () => {
    for (const row of [client(1, [1]), client(3, [2]), client(4, [1, 2]), client(2, [2])]) rows.addClient(row)
    expect(rows.clientsIn(1)).toEqual([client(1, [1]), client(4, [1, 2])])
    expect(rows.clientsIn(2)).toEqual([client(2, [2]), client(3, [2]), client(4, [1, 2])])
    expect(rows.clientsIn(3)).toEqual([])
  })

  test('a saved client stands where its row says, and nowhere else', () => {
    rows.addClient(client(1, [1]))
    rows.saveClient({ ...client(1, [2]), comment: 'moved' })
    expect(rows.client(1)).toEqual({ ...client(1, [2]), comment: 'moved' })
    expect(rows.clientsIn(1)).toEqual([])
  })
})

test('a view shows each row as it was when it was first asked for', () => {
  rows.addClient(client(1, [1]))
  const view = viewRows(rows)
  expect(view.client(1)).toEqual(client(1, [1]))
  expect(view.client(2)).toBeUndefined()
  expect(view.inbound(1)).not.toHaveProperty('secrets')
  rows.saveClient({ ...client(1, [1]), comment: 'later' })
  rows.addClient(client(2, [1]))
  expect(view.client(1)?.comment).toBe('')
  expect(view.client(2)).toBeUndefined()
  expect(viewRows(rows).client(1)?.comment).toBe('later')
})
