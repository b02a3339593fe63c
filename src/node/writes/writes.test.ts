import { beforeEach, describe, expect, test } from 'vitest'
import { FleetError } from '#src/errors.ts'
import { openStore } from '#src/store/open.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { createSecretBox } from '#src/trust/secret-box.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { unlimited } from '../limits/limits.ts'
import { createPosition } from '../rows/position.ts'
import type { ClientRecord } from '../rows/records.ts'
import { createRows } from '../rows/rows.ts'
import { viewRows } from '../rows/rows-view.ts'
import type { WriteRequest } from './plan.ts'
import { type WriteDeps, createWrites } from './writes.ts'

function setup() {
  const db = openStore({ file: ':memory:', migrations: readMigrations('migrations'), now: 0 })
  const box = createSecretBox([{ id: 'k', key: Buffer.alloc(32, 1) }])
  const runtime = createFakeRuntime({ now: 1_000 })
  const position = createPosition(db, () => runtime.uuid())
  const rows = createRows(db, box)
  const pushed: number[][] = []
  const reconciled: (readonly number[])[] = []
  /** What the process would be after a restart: new memory, the same file. */
  const writesWith = (push: WriteDeps['push'], answer: WriteDeps['answer'] = nameOf) =>
    createWrites({
      db,
      box,
      runtime,
      log: silentLog(),
      position,
      view: (known) => viewRows(rows, known),
      push: async (before, now) => {
        pushed.push(before.scope.clients)
        await push(before, now)
      },
      reconcile: async (reopen) => {
        reconciled.push(reopen)
        return 0
      },
      answer,
    })
  const add = (email: string, idempotencyKey: string): WriteRequest => ({
    operation: 'clients.add',
    input: { email },
    call: { idempotencyKey },
    plan: async () => ({
      before: { inbounds: [], clients: [] },
      commit: (changeSeq) => {
        const row: ClientRecord = {
          id: position.nextId(),
          email,
          uuid: '11111111-1111-4111-8111-111111111111',
          password: 'a password',
          ...unlimited,
          telegramId: null,
          blocked: null,
          subscriptionId: 'subscription',
          flow: '',
          enabled: true,
          comment: '',
          inbounds: [],
          rowVersion: 1,
          changeSeq,
          createdAt: 0,
          updatedAt: 0,
        }
        rows.saveClient(row)
        return { inbounds: [], clients: [row.id] }
      },
    }),
  })
  const remove = (email: string, idempotencyKey: string): WriteRequest => ({
    operation: 'clients.delete',
    input: { email },
    call: { idempotencyKey },
    plan: async () => {
      const scope = { inbounds: [], clients: [rows.clientByEmail(email)?.id ?? 0] }
      return {
        before: scope,
        commit: (changeSeq) => {
          rows.removeClient(scope.clients[0] ?? 0, changeSeq)
          return scope
        },
      }
    },
  })
  const statuses = () => db.prepare('select key, status from applied_tasks order by key').all()
  return { db, rows, runtime, pushed, reconciled, writesWith, add, remove, statuses }
}

let it: ReturnType<typeof setup>
beforeEach(() => {
  it = setup()
})

const nameOf: WriteDeps['answer'] = (_operation, before, now) =>
  now.client(before.scope.clients[0] ?? 0)?.email ?? 'gone'
const works = async (): Promise<void> => undefined
const never = (): Promise<void> => new Promise(() => undefined)
const refuses = async (): Promise<void> => {
  throw new FleetError('XRAY_REFUSED', { reason: 'no' })
}

describe('the write path', () => {
  test('a kill after the rows were committed: the next start brings the change to its end, and its key answers', async () => {
    void it.writesWith(never).run(it.add('anna', 'k1'))
    await expect.poll(() => it.pushed.length).toBe(1)
    expect(it.statuses()).toEqual([{ key: 'k1', status: 'applying' }])

    const again = it.writesWith(works)
    await again.settle(() => undefined)
    expect(it.statuses()).toEqual([{ key: 'k1', status: 'applied' }])
    expect(await again.run(it.add('anna', 'k1'))).toBe('anna')
    expect(it.rows.clients()).toHaveLength(1)
    expect(it.pushed).toHaveLength(2)
  })

  test('a kill, and then Xray refuses: the rows are as before, and the key answers with the refusal', async () => {
    void it.writesWith(never).run(it.add('anna', 'k1'))
    await expect.poll(() => it.pushed.length).toBe(1)
    const refused: unknown[] = []
    const again = it.writesWith(refuses)
    await again.settle((error) => refused.push(error))
    expect(refused).toHaveLength(1)
    expect(it.rows.clients()).toEqual([])
    await expect(again.run(it.add('anna', 'k1'))).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
  })

  test('a refused deletion gives the row back whole', async () => {
    const writes = it.writesWith(works)
    await writes.run(it.add('anna', 'k1'))
    const [before] = it.rows.clients()
    await expect(it.writesWith(refuses).run(it.remove('anna', 'k2'))).rejects.toMatchObject({
      code: 'XRAY_REFUSED',
    })
    const [after] = it.rows.clients()
    expect({ ...after, changeSeq: 0 }).toEqual({ ...before, changeSeq: 0 })
    expect(after?.changeSeq).toBeGreaterThan(before?.changeSeq ?? 0)
  })

  test('a failure that may pass leaves the key free for another try', async () => {
    const fails = async (): Promise<void> => {
      throw new FleetError('XRAY_UNAVAILABLE', { reason: 'busy' })
    }
    await expect(it.writesWith(fails).run(it.add('anna', 'k1'))).rejects.toMatchObject({ retryable: true })
    expect(it.rows.clients()).toEqual([])
    expect(await it.writesWith(works).run(it.add('anna', 'k1'))).toBe('anna')
  })

  test('two at once are made one after the other, a repeated key once', async () => {
    const writes = it.writesWith(works)
    const answers = await Promise.all([writes.run(it.add('anna', 'k1')), writes.run(it.add('anna', 'k1'))])
    expect(answers).toEqual(['anna', 'anna'])
    expect(it.pushed).toHaveLength(1)
  })

  test('rows are answered while Xray is at work, a command only when it was carried out', async () => {
    const order: string[] = []
    const turns = async (): Promise<void> => {
      order.push('push')
      await expect.poll(() => order).toContain('answer')
      order.push('pushed')
    }
    const answers: WriteDeps['answer'] = (...of) => {
      order.push('answer')
      return nameOf(...of)
    }
    expect(await it.writesWith(turns, answers).run(it.add('anna', 'k1'))).toBe('anna')
    expect(order.splice(0)).toEqual(['push', 'answer', 'pushed'])

    const nothing = { inbounds: [], clients: [] }
    const effect = async (): Promise<void> => {
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
      order.push('effect')
    }
    const restart = async () => ({
      before: nothing,
      commit: () => nothing,
      effect,
      command: { operation: 'xray.restart', xrayBefore: null, target: null },
    })
    const request = { operation: 'xray.restart', input: null, call: { idempotencyKey: 'k2' }, plan: restart }
    await it.writesWith(works, answers).run(request)
    expect(order).toEqual(['effect', 'answer'])
  })

  test('the disk is waited for when there is an outcome, and before an effect that would survive a power cut', async () => {
    const durability = (): unknown => it.db.pragma('synchronous', { simple: true })
    const [normal, full] = [1, 2]
    const during: unknown[] = []
    const watched = ({ plan, ...request }: WriteRequest, effect?: () => Promise<void>): WriteRequest => ({
      ...request,
      async plan() {
        const planned = await plan()
        return {
          ...planned,
          ...(effect === undefined ? {} : { effect }),
          commit(changeSeq) {
            during.push(durability())
            return planned.commit(changeSeq)
          },
        }
      },
    })
    const writes = it.writesWith(async () => void during.push(durability()))
    await writes.run(watched(it.add('anna', 'k1')))
    await writes.run(watched(it.add('bert', 'k2'), works))
    expect(during).toEqual([normal, full, full, full])

    const broken = watched(it.add('anna', 'k3'))
    await expect(writes.run(broken)).rejects.toThrow('UNIQUE')
    expect(durability()).toBe(full)
  })

  test('a change whose answer cannot be made is taken back, and keeps no other from coming about', async () => {
    const speechless: WriteDeps['answer'] = (operation, ...of) => {
      if (operation !== 'clients.delete') throw new Error('no words')
      return nameOf(operation, ...of)
    }
    await it.writesWith(works).run(it.add('bert', 'k0'))
    const writes = it.writesWith(works, speechless)
    await expect(writes.run(it.add('anna', 'k1'))).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(it.rows.clients()).toMatchObject([{ email: 'bert' }])
    expect(await writes.run(it.remove('bert', 'k2'))).toBe('gone')
    expect(it.statuses()).toMatchObject([
      {},
      { key: 'k1', status: 'failed' },
      { key: 'k2', status: 'applied' },
    ])
    await expect(writes.run(it.add('anna', 'k1'))).rejects.toMatchObject({ code: 'INTERNAL' })
  })

  test('so is one that a kill met, and a command', async () => {
    const speechless: WriteDeps['answer'] = () => {
      throw new Error('no words')
    }
    void it.writesWith(never).run(it.add('anna', 'k1'))
    await expect.poll(() => it.pushed.length).toBe(1)
    const again = it.writesWith(works, speechless)
    const refused: unknown[] = []
    await again.settle((error) => refused.push(error))
    expect(refused).toMatchObject([{ code: 'INTERNAL' }])
    const nothing = { inbounds: [], clients: [] }
    const command = { operation: 'xray.restart', xrayBefore: null, target: null }
    const plan = async () => ({ before: nothing, commit: () => nothing, effect: works, command })
    const restart = { operation: 'xray.restart', input: null, call: { idempotencyKey: 'k2' }, plan }
    await expect(again.run(restart)).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(it.statuses()).toMatchObject([{ status: 'failed' }, { status: 'failed' }])
    expect(it.rows.clients()).toEqual([])
  })

  test('an outcome is kept for two weeks, and forgotten after that without a restart', async () => {
    const day = 24 * 60 * 60 * 1000
    const writes = it.writesWith(works)
    await writes.run(it.add('anna', 'k1'))
    it.runtime.skip(13 * day)
    await writes.run(it.add('bert', 'k2'))
    expect(it.statuses()).toMatchObject([{ key: 'k1' }, { key: 'k2' }])
    it.runtime.skip(2 * day)
    await writes.run(it.add('cleo', 'k3'))
    expect(it.statuses()).toMatchObject([{ key: 'k2' }, { key: 'k3' }])
  })

  test('a refusal is the outcome of its key, also when its reason has gone since', async () => {
    const writes = it.writesWith(works)
    let reason: FleetError | undefined = new FleetError('INBOUND_NOT_FOUND', { inbound: 'main' })
    const request = it.add('anna', 'k1')
    const refusing: WriteRequest = {
      ...request,
      plan: async () => {
        if (reason !== undefined) throw reason
        return request.plan()
      },
    }
    await expect(writes.run(refusing)).rejects.toMatchObject({ code: 'INBOUND_NOT_FOUND' })
    reason = undefined
    // Held up on its way, it arrives once more.
    await expect(writes.run(refusing)).rejects.toMatchObject({
      code: 'INBOUND_NOT_FOUND',
      details: { inbound: 'main' },
    })
    expect(it.rows.clients()).toEqual([])
    expect(await writes.run({ ...refusing, call: { idempotencyKey: 'k2' } })).toBe('anna')
  })

  test.each(['XRAY_UNAVAILABLE', 'INTERNAL'] as const)(
    'what was not even tried for %s is tried again',
    async (code) => {
      const writes = it.writesWith(works)
      const request = it.add('anna', 'k1')
      const plan = async (): Promise<never> => {
        throw new FleetError(code, { reason: 'busy' })
      }
      await expect(writes.run({ ...request, plan })).rejects.toMatchObject({ code })
      expect(await writes.run(request)).toBe('anna')
    },
  )

  test('an outcome that cannot be written stays open, and is brought to its end before the next change', async () => {
    const writes = it.writesWith(works)
    it.db.exec(
      `create trigger full before update on applied_tasks begin select raise(abort, 'disk is full'); end`,
    )
    await expect(writes.run(it.add('anna', 'k1'))).rejects.toMatchObject({
      code: 'CHANGE_UNSETTLED',
      retryable: true,
      details: { reason: 'disk is full' },
    })
    await expect(writes.run(it.add('bert', 'k2'))).rejects.toMatchObject({ code: 'CHANGE_UNSETTLED' })
    expect(it.statuses()).toEqual([{ key: 'k1', status: 'applying' }])
    it.db.exec('drop trigger full')
    expect(await writes.run(it.add('bert', 'k2'))).toBe('bert')
    expect(it.statuses()).toEqual([
      { key: 'k1', status: 'applied' },
      { key: 'k2', status: 'applied' },
    ])
    expect(await writes.run(it.add('anna', 'k1'))).toBe('anna')
    expect(it.rows.clients()).toHaveLength(2)
  })

  test('Xray that was not told of a change taken back is mended before the next one, also after a kill', async () => {
    const writes = it.writesWith(refuses)
    await expect(writes.run(it.add('anna', 'k1'))).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    expect(it.reconciled).toEqual([])
    const again = it.writesWith(works)
    await again.run(it.add('bert', 'k2'))
    expect(it.reconciled).toEqual([[]])
    await again.run(it.add('cleo', 'k3'))
    await again.mend()
    expect(it.reconciled).toHaveLength(1)
  })
})
