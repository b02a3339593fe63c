/** Where a client stands on a machine, looked up in what the machine itself keeps: no word of the controller's is believed. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect } from 'vitest'
import { connectXrayApi } from '#src/xray/api/api.ts'
import type { Machine, World } from './world.ts'
import { idOf } from './xray-server.ts'

const databaseOf = (world: World, machine: Machine): string =>
  join(machine.dir, machine === world.controller ? 'fleetgram.db' : 'agent.db')

/** Reads a machine's own database, beside the process that writes it. */
export function query<T>(world: World, machine: Machine, sql: string, ...values: unknown[]): T[] {
  const db = new Database(databaseOf(world, machine), { readonly: true })
  try {
    return db.prepare(sql).all(...values) as T[]
  } finally {
    db.close()
  }
}

/** How often a client stands in a machine's own rows, and its credentials in the running Xray, once for each time. */
export async function standings(
  world: World,
  machine: Machine,
  name: string,
  tag = 'main',
): Promise<{ rows: number; xray: string[] }> {
  const rows = query(
    world,
    machine,
    'select 1 from clients where server_id = 1 and email_key = ?',
    name.toLowerCase(),
  )
  const api = connectXrayApi(join(machine.dir, 'xray', 'api.sock'))
  try {
    const users = await api.users(tag)
    const xray = users.filter((user) => user.email.startsWith(`${name}#`)).map(idOf)
    return { rows: rows.length, xray }
  } finally {
    api.close()
  }
}

/** Everywhere once, and everywhere the same person. Waits for it, then looks. */
export async function expectOneEverywhere(
  world: World,
  machines: Machine[],
  name: string,
  timeout = 30_000,
): Promise<void> {
  const look = () => Promise.all(machines.map((machine) => standings(world, machine, name)))
  const isThere = async (): Promise<boolean> =>
    (await look()).every(({ rows, xray }) => rows > 0 && xray.length > 0)
  await expect.poll(isThere, { timeout, interval: 200 }).toBe(true)
  const all = await look()
  const uuid = all[0]?.xray[0]
  expect(uuid).toBeTypeOf('string')
  expect(all).toEqual(machines.map(() => ({ rows: 1, xray: [uuid] })))
}
