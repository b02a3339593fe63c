import { beforeEach, describe, expect, it } from 'vitest'
import { type FakeRuntime, createFakeRuntime } from '#test/support/fake-runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { type Endings, createEndings } from './endings.ts'

let runtime: FakeRuntime
let endings: Endings
let told: string[]
let complaints: object[]

beforeEach(() => {
  runtime = createFakeRuntime({ now: 0 })
  told = []
  complaints = []
  const log = { ...silentLog(), error: (details: object) => void complaints.push(details) }
  endings = createEndings({ log, runtime })
})

const hang = (part: string): void =>
  endings.add(part, () => {
    told.push(part)
    return new Promise(() => undefined)
  })
const end = (part: string): void => endings.add(part, () => void told.push(part))

describe('endings', () => {
  it('come in reverse, each after the one before it, and once', async () => {
    end('first')
    endings.add('slow', async () => {
      await runtime.sleep(3_000)
      told.push('slow')
    })
    end('last')
    const all = endings.endAll()
    await runtime.advance(3_000)
    await all
    await endings.endAll()
    expect(told).toEqual(['last', 'slow', 'first'])
    expect(complaints).toEqual([])
    expect(runtime.sleeping()).toBe(0)
  })

  it('that fail keep no other from its end', async () => {
    end('first')
    endings.add('sync', () => {
      throw new Error('broken')
    })
    endings.add('async', () => Promise.reject(new Error('broken too')))
    await endings.endAll()
    expect(told).toEqual(['first'])
    expect(complaints).toMatchObject([{ part: 'async' }, { part: 'sync' }])
  })

  it('that hang are left behind: all is over within 10 s, and every part was told', async () => {
    for (const part of ['a', 'b', 'c', 'd']) hang(part)
    let over = false
    const all = endings.endAll().then(() => (over = true))
    await runtime.advance(6_000)
    expect(told).toEqual(['d', 'c'])
    await runtime.advance(3_900)
    await all
    expect(over).toBe(true)
    expect(told).toEqual(['d', 'c', 'b', 'a'])
    expect(complaints).toEqual([{ part: 'd' }, { part: 'c' }, { part: 'b' }, { part: 'a' }])
  })
})
