import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clientInput } from '#src/contract/index.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { openLimitsHouse, withInbound } from '#test/support/limits-house.ts'
import { migratedDatabases } from '#test/support/migrated.ts'
import { nextTurn } from './asking.ts'

const database = migratedDatabases()

function setup() {
  const clocks = createFakeRuntime({ now: Date.UTC(2026, 0, 15) })
  const house = openLimitsHouse(withInbound(database()), clocks)
  const client = (email: string, limits: { limitBytes?: number; ipLimit?: number }) =>
    clientInput.parse({ email, uuid: clocks.uuid(), subscriptionId: 'subscription', ...limits })
  return { house, client, add: (...given: Parameters<typeof client>) => house.add(client(...given)) }
}

describe('who is asked about', () => {
  test('an Xray that is slow to tell from where thousands come keeps nobody from being refused for bytes', async () => {
    const { house, add } = setup()
    await add('anna', { limitBytes: 10 })
    house.move('anna', 20)
    house.fallSilent()
    void house.tick()
    await expect.poll(() => [...house.served]).toEqual([])
  })

  test('of ten thousand who are connected those with a limit each time, the others by turns', async () => {
    const { house, add } = setup()
    await add('anna', { ipLimit: 1 })
    for (let i = 0; i < 10_000; i++) house.connect(`other-${i}`, ['192.0.2.1'])
    house.connect('anna', ['192.0.2.1', '192.0.2.2'])
    for (let i = 0; i < 3; i++) await house.tick()
    expect(house.client('anna')?.blocked).toBe('addresses')
    expect(house.asked).toEqual([501, 501, 501])
    house.connect('anna', ['192.0.2.1'])
    await house.tick()
    expect(house.client('anna')?.blocked).toBe(null)
  })

  test('one whose turn has not come stays as they were', async () => {
    const { house, client, add } = setup()
    const before = Array.from({ length: 3_000 }, (_, i) => client(`first-${i}`, { ipLimit: 1 }))
    for (const { email } of before) house.connect(email, ['192.0.2.1'])
    await house.add(...before)
    await add('anna', { ipLimit: 1 })
    house.connect('anna', ['192.0.2.1', '192.0.2.2'])
    await house.tick()
    expect(house.client('anna')?.blocked).toBe(null)
    await house.tick()
    expect(house.client('anna')?.blocked).toBe('addresses')
    await house.tick()
    expect(house.client('anna')?.blocked).toBe('addresses')
  })

  test('everybody has their turn before anybody has two, whoever comes and goes, and none is wasted', () => {
    const there = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), { minLength: 1 })
    fc.assert(
      fc.property(fc.array(there, { maxLength: 30 }), fc.integer({ min: 1, max: 6 }), (looks, most) => {
        let asked: ReadonlySet<string> = new Set()
        for (const now of looks) {
          const turn = nextTurn(now, asked, most)
          expect(new Set(turn.chosen).size).toBe(Math.min(most, now.length))
          const passedOver = now.filter((one) => !asked.has(one) && !turn.chosen.includes(one))
          if (passedOver.length > 0) expect(turn.chosen.some((one) => asked.has(one))).toBe(false)
          for (const one of turn.chosen) expect(turn.asked.has(one)).toBe(true)
          asked = turn.asked
        }
      }),
    )
    const everybody = ['a', 'b', 'c', 'd', 'e']
    const first = nextTurn(everybody, new Set(), 2)
    const second = nextTurn(everybody, first.asked, 2)
    const third = nextTurn(everybody, second.asked, 2)
    expect([first, second, third].map(({ chosen }) => chosen.join(''))).toEqual(['ab', 'cd', 'ea'])
  })
})
