import { describe, expect, test } from 'vitest'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { clientInput } from '#src/contract/index.ts'
import { openLimitsHouse, withInbound } from '#test/support/limits-house.ts'
import { migratedDatabases } from '#test/support/migrated.ts'
import { countPlaces } from './addresses.ts'

const DAY = 24 * 60 * 60 * 1000
const database = migratedDatabases()

async function withAnna() {
  const clocks = createFakeRuntime({ now: Date.UTC(2026, 0, 15) })
  const db = withInbound(database())
  const house = openLimitsHouse(db, clocks)
  const uuid = clocks.uuid()
  await house.add(clientInput.parse({ email: 'Anna', uuid, subscriptionId: 'subscription' }))
  const addresses = () =>
    db
      .prepare('select address, first_seen_at, last_seen_at from inbound_client_ips order by address')
      .raw()
      .all()
  return { clocks, house, addresses }
}

describe('addresses', () => {
  test.each([
    [['192.0.2.1', '192.0.2.1', '192.0.2.2'], 2],
    [['[2001:db8:1:2::1]', '[2001:db8:1:2:aaaa:bbbb:cccc:dddd]'], 1],
    [['[2001:db8:1:2::1]', '[2001:db8:1:3::1]'], 2],
    [['[2001:db8::1]', '[2001:db8:0:0:1::1]', '[2001:db8:0:1::1]'], 2],
    [['[::1:2:3:4:5]', '[0:0:0:1:9:9:9:9]'], 1],
    [['[fd00::]', '192.0.2.1'], 2],
    [[], 0],
  ])('%j are %i places', (ips, places) => {
    expect(countPlaces(ips)).toBe(places)
  })

  test('when each was first and last seen is kept for 30 days', async () => {
    const { clocks, house, addresses } = await withAnna()
    const first = clocks.now()
    house.connect('anna', ['192.0.2.1', '[2001:db8::1]'])
    await house.tick()
    clocks.skip(DAY)
    house.connect('anna', ['192.0.2.1'])
    await house.tick()
    expect(addresses()).toEqual([
      ['192.0.2.1', first, first + DAY],
      ['2001:db8::1', first, first],
    ])
    clocks.skip(30 * DAY)
    house.connect('anna', ['192.0.2.7'])
    await house.tick()
    expect(addresses()).toEqual([
      ['192.0.2.1', first, first + DAY],
      ['192.0.2.7', first + 31 * DAY, first + 31 * DAY],
    ])
  })

  test('of one that is shared in a crowd the latest thousand', async () => {
    const { clocks, house, addresses } = await withAnna()
    house.connect('anna', ['203.0.113.1'])
    await house.tick()
    clocks.skip(1_000)
    house.connect(
      'anna',
      Array.from({ length: 1_000 }, (_, index) => `198.18.${index >> 8}.${index & 255}`),
    )
    await house.tick()
    expect(addresses()).toHaveLength(1_000)
    expect(addresses().flat()).not.toContain('203.0.113.1')
  })
})
