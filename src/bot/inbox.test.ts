import { HttpError } from 'grammy'
import type { Update } from 'grammy/types'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { createTempStore } from '#test/support/temp-store.ts'
import { createInboxWorkers, queueOf } from './inbox.ts'
import { createDrafts, type Drafts } from './store/drafts.ts'
import { createInboxStore, type InboxStore } from './store/inbox.ts'

const box = secretBoxFor(Buffer.alloc(32, 1))
/** Time does not pass here: every wait is over at once, but for the watchdog. */
const runtime = {
  ...systemRuntime(),
  sleep: (ms: number, signal?: AbortSignal) =>
    ms >= 60_000 ? systemRuntime().sleep(ms, signal) : Promise.resolve(),
}

function message(update_id: number, chatId: number, text = 'secret words'): Update {
  const chat = { id: chatId, type: 'private' as const, first_name: 'x' }
  const from = { id: chatId, is_bot: false, first_name: 'x' }
  return { update_id, message: { message_id: update_id, date: 0, chat, from, text } }
}

let store: ReturnType<typeof createTempStore>
let inbox: InboxStore
let drafts: Drafts
let stop: AbortController
const log: unknown[] = []

beforeEach(() => {
  store = createTempStore(0)
  inbox = createInboxStore(store.db(), box)
  drafts = createDrafts(store.db(), box)
  stop = new AbortController()
  log.length = 0
})
afterEach(() => {
  stop.abort()
  store.remove()
})

function workers(handle: (update: Update) => Promise<void>, onFailed = vi.fn(() => Promise.resolve())) {
  const write = (fields: object): void => void log.push(fields)
  const created = createInboxWorkers({
    db: store.db(),
    store: inbox,
    drafts,
    runtime,
    log: { info: write, warn: write, error: write },
    signal: stop.signal,
    draftKey: (update) => String(update.message?.chat.id),
    handle,
    onFailed,
  })
  return { ...created, onFailed }
}

describe('the update inbox', () => {
  test('one chat in order, chats side by side, each update once', async () => {
    const seen: string[] = []
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const w = workers(async (update) => {
      if (update.update_id === 1) await held
      seen.push(`${queueOf(update)}:${update.update_id}`)
    })
    w.take([message(1, 10), message(2, 10), message(3, 20)])
    w.take([message(2, 10)])
    await vi.waitFor(() => expect(seen).toEqual(['20:3']))
    release()
    await w.idle()
    expect(seen).toEqual(['20:3', '10:1', '10:2'])
  })

  test('a database that cannot be read for a while stops no queue and ends no process', async () => {
    const seen: number[] = []
    const w = workers((update) => Promise.resolve(void seen.push(update.update_id)))
    const real = createInboxStore(store.db(), box)
    let fails = 0
    inbox.next = (queue) => {
      // Also the look after the last one.
      if (seen.length < 2 ? fails++ % 2 === 0 : fails++ < 6) throw new Error('disk I/O error')
      return real.next(queue)
    }
    w.take([message(1, 10), message(2, 10)])
    await vi.waitFor(() => expect(seen).toEqual([1, 2]))
    await w.idle()
    expect(JSON.stringify(log)).toContain('disk I/O error')
    w.take([message(3, 10)])
    await vi.waitFor(() => expect(seen).toEqual([1, 2, 3]))
  })

  test('what was not handled when the process ended is handled by the next one', async () => {
    inbox.add([{ update: message(1, 10), queue: '10' }], 0)
    inbox = createInboxStore(store.reopen(), box)
    drafts = createDrafts(store.db(), box)
    const seen: number[] = []
    const w = workers((update) => Promise.resolve(void seen.push(update.update_id)))
    w.resume()
    await w.idle()
    expect(seen).toEqual([1])
    expect(inbox.queues()).toEqual([])
  })

  test('bodies are sealed while they wait, and gone afterwards', async () => {
    inbox.add([{ update: message(1, 10), queue: '10' }], 0)
    const rows = (): string => JSON.stringify(store.db().$client.prepare('select * from update_inbox').all())
    expect(rows()).not.toContain('secret words')
    const w = workers(() => Promise.resolve())
    w.resume()
    await w.idle()
    expect(store.db().$client.prepare('select body, status from update_inbox').all()).toEqual([
      { body: null, status: 'done' },
    ])
  })

  test('what fails three times is given up, its draft dropped, the person told, the next one handled', async () => {
    drafts.write('10', { a: 1 })
    drafts.commit('10', 0)
    let tries = 0
    const w = workers((update) => {
      if (update.update_id !== 1) return Promise.resolve()
      tries++
      drafts.write('10', { half: true })
      return Promise.reject(new Error('call to 12345678:AAAAAAAAAAAAAAAAAAAAAAAA failed'))
    })
    w.take([message(1, 10), message(2, 10)])
    await w.idle()
    expect(tries).toBe(3)
    expect(w.onFailed).toHaveBeenCalledTimes(1)
    expect(drafts.read('10')).toBeUndefined()
    expect(inbox.queues()).toEqual([])
    expect(JSON.stringify(log)).not.toContain('AAAAAAAA')
  })

  test('a network that is away does not use up the tries, and a draft stays at its last good state', async () => {
    drafts.write('10', { step: 1 })
    drafts.commit('10', 0)
    const drafted: unknown[] = []
    let tries = 0
    const w = workers(() => {
      drafted.push(drafts.read('10'))
      drafts.write('10', { step: 2 })
      return ++tries < 8
        ? Promise.reject(new HttpError('away', new Error('ECONNREFUSED')))
        : Promise.resolve()
    })
    w.take([message(1, 10)])
    await w.idle()
    expect(tries).toBe(8)
    expect(drafted.every((draft) => JSON.stringify(draft) === '{"step":1}')).toBe(true)
    expect(drafts.read('10')).toEqual({ step: 2 })
    expect(w.onFailed).not.toHaveBeenCalled()
  })
})
