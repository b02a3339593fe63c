import { eq } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLog } from '#src/log.ts'
import { type Db, tables } from '#src/store/drizzle.ts'
import { createFakeRuntime, type FakeRuntime } from '#test/support/fake-runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createTempStore } from '#test/support/temp-store.ts'
import { downKey, dropExcept, enqueue, isOpen, upKey } from './outbox.ts'
import { createSender, type Delivery, type Outgoing, type Sender } from './sender.ts'

const NOW = 1_700_000_000_000
const { outbox } = tables
const reason = { code: 'SERVER_TIMEOUT', details: { seconds: 4 } } as const
const delivered = (messageId: number): Delivery => ({ ok: true, messageId })

let store: ReturnType<typeof createTempStore>
let runtime: FakeRuntime
let senders: Sender[]

beforeEach(() => {
  store = createTempStore(NOW)
  runtime = createFakeRuntime({ now: NOW })
  senders = []
})

afterEach(async () => {
  await Promise.all(senders.map((sender) => sender.stop()))
  store.remove()
})

function down(db: Db, incident: number, chat: string, serverId = incident): void {
  const payload = { serverId, serverName: `s${serverId}`, state: 'offline' as const, reason, since: NOW }
  const key = downKey(incident)
  enqueue(db, { chat, key, kind: 'serverDown', payload, silent: false, now: runtime.now() })
}

function up(db: Db, incident: number, chat: string, serverId = incident): void {
  const payload = { serverId, serverName: `s${serverId}`, downSince: NOW, upAt: NOW + 60_000 }
  const key = upKey(incident)
  enqueue(db, { chat, key, kind: 'serverUp', payload, silent: true, now: runtime.now() })
}

type Deliver = (message: Outgoing, signal: AbortSignal) => Promise<Delivery>

/** A Telegram that notes what it is given; `answer` may be changed at any time. */
function telegram() {
  const seen: string[] = []
  const log: string[] = []
  const phone = {
    seen,
    log,
    answer: (() => Promise.resolve(delivered(seen.length))) as Deliver,
    deliver: (message: Outgoing, signal: AbortSignal): Promise<Delivery> => {
      seen.push(`${message.chat} ${message.kind} ${message.payload.serverName}`)
      return phone.answer(message, signal)
    },
  }
  return phone
}

function sending(phone: ReturnType<typeof telegram>, db: Db = store.db()): Sender {
  const log = createLog('info', (line) => void phone.log.push(line))
  const sender = createSender({ db, runtime, log, deliver: phone.deliver })
  senders.push(sender)
  sender.start()
  return sender
}

const statuses = (): string[] =>
  store
    .db()
    .select()
    .from(outbox)
    .orderBy(outbox.id)
    .all()
    .map((row) => `${row.chat} ${row.kind} ${row.status}`)

describe('outbox', () => {
  test('one event is said to one chat once, however often it is told', () => {
    for (const chat of ['a', 'b', 'a', 'b']) down(store.db(), 1, chat)
    expect(statuses()).toEqual(['a serverDown queued', 'b serverDown queued'])
  })

  test('a recovery takes the place of the outage that still waits', async () => {
    down(store.db(), 1, 'a')
    down(store.db(), 2, 'a')
    up(store.db(), 1, 'a')
    up(store.db(), 1, 'a')
    const phone = telegram()
    sending(phone)
    await runtime.advance(0)
    expect(phone.seen).toEqual(['a serverDown s2', 'a serverDownAndUp s1'])
    const both = store
      .db()
      .select()
      .from(outbox)
      .where(eq(outbox.key, upKey(1)))
      .get()
    expect(both?.payload).toEqual({
      serverId: 1,
      serverName: 's1',
      state: 'offline',
      reason,
      downSince: NOW,
      upAt: NOW + 60_000,
    })
  })

  test('what waits about servers that are gone is taken back, what was sent stays', async () => {
    down(store.db(), 1, 'a')
    const phone = telegram()
    sending(phone)
    await runtime.advance(0)
    up(store.db(), 1, 'a')
    down(store.db(), 2, 'a')
    dropExcept(store.db(), new Set([2]))
    expect(statuses()).toEqual(['a serverDown sent', 'a serverUp dropped', 'a serverDown queued'])
  })

  test('looking for what waits does not read what was sent', () => {
    const query = store.db().selectDistinct({ chat: outbox.chat }).from(outbox).where(isOpen).toSQL()
    const plan = store
      .db()
      .$client.prepare(`explain query plan ${query.sql}`)
      .all(...query.params)
    expect(JSON.stringify(plan)).toContain('outbox_open')
  })
})

describe('sender', () => {
  test('sends in order, and what comes later when it is woken', async () => {
    down(store.db(), 1, 'a')
    down(store.db(), 2, 'a')
    const phone = telegram()
    const sender = sending(phone)
    await runtime.advance(0)
    up(store.db(), 1, 'a')
    sender.wake()
    await runtime.advance(0)
    expect(phone.seen).toEqual(['a serverDown s1', 'a serverDown s2', 'a serverUp s1'])
    expect(
      store
        .db()
        .select()
        .from(outbox)
        .all()
        .map((row) => row.messageId),
    ).toEqual([1, 2, 3])
  })

  test('a chat that asks for patience gets it, keeps its order, and holds up nobody else', async () => {
    const phone = telegram()
    phone.answer = ({ chat }) =>
      Promise.resolve(
        chat === 'a' && runtime.now() < NOW + 7_000
          ? { ok: false, retryAfterMs: 7_000 }
          : delivered(phone.seen.length),
      )
    for (const incident of [1, 2]) for (const chat of ['a', 'b']) down(store.db(), incident, chat)
    const sender = sending(phone)
    await runtime.advance(6_999)
    sender.wake()
    await runtime.advance(0)
    expect(phone.seen).toEqual(['a serverDown s1', 'b serverDown s1', 'b serverDown s2'])
    await runtime.advance(1)
    expect(phone.seen.slice(3)).toEqual(['a serverDown s1', 'a serverDown s2'])
  })

  test('patience outlives a restart and a message that is taken back', async () => {
    const phone = telegram()
    phone.answer = () => Promise.resolve({ ok: false, retryAfterMs: 30_000 })
    down(store.db(), 1, 'a')
    const first = sending(phone)
    await runtime.advance(0)
    up(store.db(), 1, 'a')
    await first.stop()
    phone.answer = () => Promise.resolve(delivered(1))
    sending(phone, store.reopen())
    await runtime.advance(29_999)
    expect(phone.seen).toEqual(['a serverDown s1'])
    await runtime.advance(1)
    expect(phone.seen).toEqual(['a serverDown s1', 'a serverDownAndUp s1'])
  })

  test('patience is owed to the chat, also when the message that met with it is taken back', async () => {
    const phone = telegram()
    phone.answer = () => Promise.resolve({ ok: false, retryAfterMs: 30_000 })
    down(store.db(), 1, 'a')
    down(store.db(), 2, 'a')
    const sender = sending(phone)
    await runtime.advance(0)
    dropExcept(store.db(), new Set([2]))
    sender.wake()
    await runtime.advance(29_999)
    expect(phone.seen).toEqual(['a serverDown s1'])
    await runtime.advance(1)
    expect(phone.seen).toEqual(['a serverDown s1', 'a serverDown s2'])
  })

  test('what may pass is tried again, ever more rarely, for an hour and longer; its text alone is logged', async () => {
    const phone = telegram()
    const tries: number[] = []
    phone.answer = () => {
      tries.push((runtime.now() - NOW) / 1_000)
      return Promise.reject(Object.assign(new Error('no route'), { token: '12:secret' }))
    }
    down(store.db(), 1, 'a')
    sending(phone)
    await runtime.advance(3_600_000)
    expect(tries.slice(0, 8)).toEqual([0, 1, 3, 8, 18, 48, 108, 168])
    expect(phone.log.join('')).toContain('no route')
    expect(phone.log.join('')).not.toContain('secret')
    phone.answer = () => Promise.resolve(delivered(1))
    await runtime.advance(60_000)
    expect(statuses()).toEqual(['a serverDown sent'])
  })

  test('a chat that is gone is given up, aloud in the log, and blocks neither itself nor others', async () => {
    const phone = telegram()
    phone.answer = ({ chat }) =>
      Promise.resolve(chat === 'a' ? { ok: false, gone: 'bot was blocked' } : delivered(1))
    for (const incident of [1, 2]) for (const chat of ['a', 'b']) down(store.db(), incident, chat)
    sending(phone)
    await runtime.advance(0)
    expect(statuses()).toEqual([
      'a serverDown dead',
      'b serverDown sent',
      'a serverDown dead',
      'b serverDown sent',
    ])
    expect(phone.log.join('')).toContain('bot was blocked')
  })

  test('what was on its way when the process was killed is sent again, in its place', async () => {
    const phone = telegram()
    phone.answer = () => new Promise(() => undefined)
    down(store.db(), 1, 'a')
    down(store.db(), 2, 'a')
    // Killed: never stopped, its database gone under it.
    const log = silentLog()
    createSender({ db: store.db(), runtime, log, deliver: phone.deliver }).start()
    await runtime.advance(0)
    expect(statuses()).toEqual(['a serverDown sending', 'a serverDown queued'])

    const db = store.reopen()
    phone.answer = () => Promise.resolve(delivered(1))
    sending(phone, db)
    await runtime.advance(0)
    expect(phone.seen).toEqual(['a serverDown s1', 'a serverDown s1', 'a serverDown s2'])
  })

  test('an outage that was on its way when the process was killed is told with its recovery', async () => {
    const phone = telegram()
    phone.answer = () => new Promise(() => undefined)
    down(store.db(), 1, 'a')
    const log = silentLog()
    createSender({ db: store.db(), runtime, log, deliver: phone.deliver }).start()
    await runtime.advance(0)
    up(store.db(), 1, 'a')

    const db = store.reopen()
    phone.answer = () => Promise.resolve(delivered(1))
    sending(phone, db)
    await runtime.advance(0)
    expect(phone.seen.slice(1)).toEqual(['a serverDownAndUp s1'])
  })

  test('a recovery that comes while the outage is on its way, in vain, is told with it', async () => {
    const phone = telegram()
    const { promise, reject } = Promise.withResolvers<Delivery>()
    phone.answer = () => promise
    down(store.db(), 1, 'a')
    const sender = sending(phone)
    await runtime.advance(0)
    up(store.db(), 1, 'a')
    sender.wake()
    phone.answer = () => Promise.resolve(delivered(1))
    reject(new Error('no route'))
    await runtime.advance(1_000)
    expect(phone.seen).toEqual(['a serverDown s1', 'a serverDownAndUp s1'])
    expect(statuses()).toEqual(['a serverDown dropped', 'a serverDownAndUp sent'])
  })

  test('stopping lets what is on its way arrive, and ends what hangs', async () => {
    const phone = telegram()
    const { promise, resolve } = Promise.withResolvers<Delivery>()
    phone.answer = ({ chat }, signal) =>
      chat === 'a'
        ? promise
        : new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('cut')))
          })
    for (const chat of ['a', 'b']) for (const incident of [1, 2]) down(store.db(), incident, chat)
    const sender = sending(phone)
    await runtime.advance(0)
    const stopped = sender.stop()
    resolve(delivered(1))
    await runtime.advance(3_000)
    await stopped
    expect(statuses()).toEqual([
      'a serverDown sent',
      'a serverDown queued',
      'b serverDown queued',
      'b serverDown queued',
    ])
    expect(runtime.sleeping()).toBe(0)
  })

  test('a database that fails for a moment loses nothing', async () => {
    const phone = telegram()
    down(store.db(), 1, 'a')
    const real = store.db()
    let failures = 2
    const broken = new Proxy(real, {
      get(target, name, receiver) {
        if (name === 'update' && failures-- > 0) throw new Error('database is locked')
        return Reflect.get(target, name, receiver) as unknown
      },
    })
    sending(phone, broken)
    await runtime.advance(5_000)
    expect(phone.seen).toEqual(['a serverDown s1'])
    expect(statuses()).toEqual(['a serverDown sent'])
  })
})
