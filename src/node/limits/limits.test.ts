import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ClientInput, clientInput } from '#src/contract/index.ts'
import { createFakeRuntime } from '#test/support/fake-runtime.ts'
import { openLimitsHouse, withInbound } from '#test/support/limits-house.ts'
import { type LimitsAsked, LimitsOnPaper } from '#test/support/limits-on-paper.ts'
import { migratedDatabases } from '#test/support/migrated.ts'
import { type InboundLimits, judgeClient, judgeInbound, unlimited } from './limits.ts'
import { nextPeriod } from './periods.ts'

const DAY = 24 * 60 * 60 * 1000
const HOUR = DAY / 24
const MINUTE = HOUR / 60
// A Thursday.
const START = Date.UTC(2026, 0, 15, 12)

const database = migratedDatabases()
const names = ['anna', 'bert'] as const

const name = fc.constantFrom(...names)
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 4 })
const asked = fc.record(
  {
    limitBytes: orNull(fc.integer({ min: 1, max: 5_000 })),
    expiresInHours: orNull(fc.integer({ min: -24, max: 24 * 60 })),
    lastsDays: orNull(fc.integer({ min: 1, max: 40 })),
    resetDays: orNull(fc.constantFrom(1, 7, 30)),
    ipLimit: orNull(fc.integer({ min: 1, max: 3 })),
    enabled: fc.boolean(),
  },
  { requiredKeys: [] },
)
type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ does: fc.constant('move'), name, bytes: fc.nat(3_000) }) },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('wait'), hours: fc.nat(24 * 70) }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('edit'), name, asked, isRefused: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('reset'), name }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('connect'), name, from: fc.nat(4) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('wrong clock'),
      days: fc.oneof(fc.integer({ min: 1, max: 9_000 }), fc.integer({ min: -9_000, max: -1 })),
      isBelieved: fc.boolean(),
      isAmidRestart: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('Xray does not tell'), isSilent: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('restart'), offHours: fc.nat(24 * 40) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('Xray refuses') }) },
)

function limitsAsked({ expiresInHours, ...rest }: Asked, now: number): LimitsAsked {
  if (expiresInHours === undefined) return rest
  return { ...rest, expiresAt: expiresInHours === null ? null : now + expiresInHours * HOUR }
}

/** Clients beside what paper says of them, carried through the same steps. */
async function bothWays() {
  const clocks = createFakeRuntime({ now: START })
  const db = withInbound(database())
  const house = openLimitsHouse(db, clocks)
  const paper = new Map<string, LimitsOnPaper>()
  for (const email of names) {
    const given: Pick<ClientInput, 'email' | 'uuid' | 'subscriptionId'> = {
      email,
      uuid: clocks.uuid(),
      subscriptionId: 'subscription',
    }
    await house.add(clientInput.parse(given))
    paper.set(email, new LimitsOnPaper())
  }
  let isTold = true
  const of = (email: string): LimitsOnPaper => paper.get(email) ?? new LimitsOnPaper()

  async function look(): Promise<void> {
    await house.tick()
    for (const one of paper.values()) one.look(house.now(), { mayBeLater: house.mayBeLater(), isTold })
  }

  async function edit(email: string, limits: LimitsAsked, isRefused: boolean): Promise<void> {
    if (isRefused) house.refuse(1)
    const isDone = await house.update(email, limits).then(
      () => true,
      () => false,
    )
    expect(isDone).toBe(!isRefused)
    if (!isDone) return
    of(email).edit(limits, house.now())
    // At once, not with the next look. From how many addresses it comes is looked at then.
    const mayEnter = of(email).agreed.enabled && of(email).refusal(house.now(), null) === null
    expect(house.served.has(email)).toBe(mayEnter)
  }

  async function carryOut(what: typeof step extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
    if ('bytes' in what) {
      // What stands goes on, also of one who is let in no more.
      house.move(what.name, what.bytes)
      of(what.name).unread += what.bytes
    } else if ('hours' in what) clocks.skip(what.hours * HOUR)
    else if ('asked' in what) await edit(what.name, limitsAsked(what.asked, house.now()), what.isRefused)
    else if ('from' in what) {
      const ips = Array.from({ length: what.from }, (_, index) => `198.51.100.${index}`)
      house.connect(what.name, ips)
      of(what.name).addresses = what.from
    } else if ('days' in what) {
      clocks.setAhead(what.days * DAY)
      await look()
      clocks.skip(25 * MINUTE)
      await look()
      if (what.isAmidRestart) await house.restart()
      clocks.skip((what.isBelieved ? 61 : 25) * MINUTE)
      await look()
      clocks.setAhead(-what.days * DAY)
    } else if ('name' in what) {
      await house.reset(what.name)
      of(what.name).used = 0
    } else if ('isSilent' in what) {
      isTold = !what.isSilent
      house.tellNothing(what.isSilent)
    } else if ('offHours' in what) {
      clocks.skip(what.offHours * HOUR)
      await house.restart()
    } else {
      house.refuse(1)
      await house.tick()
      house.refuse(0)
    }
  }

  function compare(): void {
    for (const [email, one] of paper) {
      const { reason } = one
      const { startedAt, expiresAt, nextResetAt, blocked } = house.client(email) ?? {}
      expect({ email, startedAt, expiresAt, nextResetAt, blocked, used: house.used(email) }).toEqual({
        email,
        startedAt: one.started,
        expiresAt: one.agreed.expiresAt,
        nextResetAt: one.nextReset,
        blocked: reason,
        used: one.used,
      })
      expect(house.served.has(email)).toBe(one.agreed.enabled && reason === null)
      const turns = house.events.filter((event) => event.name === email && event.type !== 'limitNear')
      const last = turns.at(-1)
      expect(last?.type ?? 'restored').toBe(reason === null ? 'restored' : 'limitReached')
    }
  }

  return { clocks, carryOut, look, compare, close: () => db.close() }
}

async function withClients(emails: string[], limits: Partial<ClientInput>) {
  const clocks = createFakeRuntime({ now: START })
  const db = withInbound(database())
  const house = openLimitsHouse(db, clocks)
  for (const email of emails) {
    const uuid = clocks.uuid()
    await house.add(clientInput.parse({ email, uuid, subscriptionId: 'subscription', ...limits }))
  }
  clocks.skip(1_000)
  return { house, clocks, db }
}

describe('limits', () => {
  test('whatever happens, who may enter is who may on paper, with the same dates and bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const both = await bothWays()
        for (const what of steps) {
          both.clocks.skip(1_000)
          await both.carryOut(what)
          await both.look()
          both.compare()
        }
        both.close()
      }),
      { numRuns: 1_000 },
    )
  }, 120_000)
})

test('a clock that jumps about has nothing counted anew twice in a period, nor never again', () => {
  const jump = fc.oneof(fc.nat(10 * DAY), fc.integer({ min: -4_000 * DAY, max: 4_000 * DAY }))
  fc.assert(
    fc.property(fc.constantFrom(1, 7, 30), fc.array(jump, { maxLength: 30 }), (resetDays, jumps) => {
      const period = resetDays * DAY
      const use = { bytes: 10, isUsed: true, addresses: 0 }
      let row = { ...unlimited, blocked: null, resetDays, nextResetAt: START + period, resets: false }
      let [now, forward, resets] = [START, 0, 0]
      for (const by of jumps) {
        now += by
        forward += Math.max(0, by)
        row = { ...row, ...judgeClient(row, use, now) }
        if (row.resets) resets++
        expect(row.nextResetAt).toBeGreaterThan(now)
        expect(row.nextResetAt).toBeLessThanOrEqual(now + 2 * period)
        expect(Math.abs(row.nextResetAt - START) % period).toBe(0)
        // Judging it again at the same moment changes nothing.
        expect(judgeClient(row, use, now)).toEqual({ ...row, resets: false })
      }
      expect(resets).toBeLessThanOrEqual(forward / period)
    }),
    { numRuns: 2_000 },
  )
})

test('an inbound is counted anew once for each day, week or month that has begun since it was looked at', () => {
  const periodOf = {
    daily: (now: number) => Math.floor(now / DAY),
    // 1970 began on a Thursday.
    weekly: (now: number) => Math.floor((now / DAY + 3) / 7),
    monthly: (now: number) => new Date(now).getUTCFullYear() * 12 + new Date(now).getUTCMonth(),
  }
  const every = fc.constantFrom('daily', 'weekly', 'monthly')
  fc.assert(
    fc.property(every, fc.array(fc.nat(45 * DAY), { maxLength: 20 }), (trafficReset, waits) => {
      let now = START
      let row: InboundLimits = {
        limitBytes: 100,
        expiresAt: null,
        trafficReset,
        nextResetAt: nextPeriod(trafficReset, now),
        blocked: 'traffic',
      }
      for (const wait of waits) {
        const isAnother = periodOf[trafficReset](now + wait) !== periodOf[trafficReset](now)
        now += wait
        const judged = judgeInbound(row, 100, now)
        expect(judged.resets).toBe(isAnother)
        expect(judged.blocked).toBe(isAnother ? null : 'traffic')
        row = { ...judged, blocked: 'traffic' }
      }
    }),
    { numRuns: 2_000 },
  )
  // A clock that was years ahead when it was counted anew.
  const astray = { limitBytes: null, expiresAt: null, blocked: null, trafficReset: 'monthly' as const }
  expect(judgeInbound({ ...astray, nextResetAt: START + 900 * DAY }, 0, START)).toMatchObject({
    nextResetAt: Date.UTC(2026, 2, 1),
    resets: false,
  })
})

test('one that Xray refuses to turn away keeps nobody else from it, and is tried again', async () => {
  const { house, clocks } = await withClients(['anna', 'bert', 'carl'], { limitBytes: 10 })
  for (const email of ['anna', 'bert', 'carl']) house.move(email, 20)
  house.refuseFor('bert')
  await house.tick()
  expect([...house.served]).toEqual(['bert'])
  clocks.skip(10_000)
  house.refuseFor(null)
  await house.tick()
  expect([...house.served]).toEqual([])
})

test('what limits change forgets no outcome of anybody else, whatever their keys', async () => {
  const { house, db } = await withClients(['anna', 'bert'], { limitBytes: 10 })
  const as = { idempotencyKey: 'limits:mine' }
  await house.update('bert', { comment: 'x' }, as)
  await house.update('bert', { comment: 'y' })
  for (const email of ['anna', 'bert']) {
    house.move(email, 20)
    await house.tick()
  }
  await house.update('bert', { comment: 'x' }, as)
  expect(house.client('bert')?.comment).toBe('y')
  // Of its own the last is there, which nobody asks for.
  const own = db.prepare("select count(*) from applied_tasks where operation = 'limits.enforce'").pluck()
  expect(own.get()).toBe(1)
})

test('a kill amid leaves nobody half refused: the next start brings it to its end', async () => {
  const { house } = await withClients(['anna'], { limitBytes: 10 })
  house.move('anna', 20)
  house.hang()
  void house.tick()
  await expect.poll(() => house.client('anna')?.blocked).toBe('traffic')
  expect([...house.served]).toEqual(['anna'])
  await house.restart()
  expect([...house.served]).toEqual([])
  expect(house.events).toMatchObject([{ type: 'limitReached', name: 'anna', reason: 'traffic' }])
})

test('a clock that is ahead at a start and is put right refuses nobody, and gives no traffic away', async () => {
  const { house, clocks } = await withClients(['anna'], { expiresAt: START + 100 * DAY, resetDays: 30 })
  house.move('anna', 500)
  await house.tick()
  clocks.setAhead(300 * DAY)
  await house.restart()
  const looksRight = async (): Promise<void> => {
    await house.tick()
    expect([...house.served]).toEqual(['anna'])
    expect(house.used('anna')).toBe(500)
    expect(house.client('anna')?.nextResetAt).toBeLessThanOrEqual(START + 30 * DAY)
  }
  await looksRight()
  clocks.skip(50 * MINUTE)
  await looksRight()
  clocks.setAhead(-300 * DAY)
  await looksRight()
  expect(house.now()).toBe(clocks.now())
})

test('days that are given while nobody knows how long the machine was off begin when it is known', async () => {
  const { house, clocks } = await withClients(['anna'], { lastsDays: 10 })
  await house.tick()
  clocks.skip(60 * DAY)
  await house.restart()
  house.move('anna', 1)
  await house.tick()
  expect(house.client('anna')).toMatchObject({ startedAt: null, expiresAt: null })
  clocks.skip(61 * MINUTE)
  await house.tick()
  expect(house.client('anna')).toMatchObject({ blocked: null, expiresAt: clocks.now() + 10 * DAY })
})

test('a clock that is ahead for so long that it is believed has no outcome of a change forgotten', async () => {
  const { house, clocks, db } = await withClients(['anna'], {})
  const kept = () => db.prepare("select count(*) from applied_tasks where key like 'key-%'").pluck().get()
  expect(kept()).toBe(1)
  clocks.setAhead(300 * DAY)
  await house.restart()
  await house.tick()
  clocks.skip(61 * MINUTE)
  await house.update('anna', { comment: 'x' })
  await house.tick()
  await house.restart()
  expect(house.now()).toBe(clocks.now())
  expect(kept()).toBe(2)
  // Of those that were lived the days are counted.
  for (let day = 0; day < 15; day++) {
    clocks.skip(DAY)
    await house.tick()
  }
  await house.update('anna', { comment: 'y' })
  expect(kept()).toBe(1)
})

test('days from first use begin with it, also where the clock was ahead as they were given', async () => {
  const { house, clocks } = await withClients(['anna'], { lastsDays: 30 })
  const stand = async (): Promise<void> => {
    await house.tick()
    clocks.skip(61 * MINUTE)
    await house.tick()
  }
  clocks.setAhead(300 * DAY)
  await stand()
  await house.update('anna', { lastsDays: 20 })
  clocks.setAhead(-300 * DAY)
  await stand()
  expect(house.client('anna')).toMatchObject({ startedAt: null, expiresAt: null })
  house.move('anna', 1)
  await house.tick()
  const startedAt = clocks.now()
  expect(house.client('anna')).toMatchObject({ startedAt, expiresAt: startedAt + 20 * DAY })
  // Given anew, they begin with what is moved from then on.
  clocks.skip(DAY)
  await house.update('anna', { lastsDays: 40 })
  await house.tick()
  expect(house.client('anna')).toMatchObject({ startedAt: null, expiresAt: null })
  house.move('anna', 1)
  await house.tick()
  expect(house.client('anna')).toMatchObject({ expiresAt: clocks.now() + 40 * DAY })
})

test('what is near is said at 80 and 95 per cent, three days and one before; once, over restarts too', async () => {
  const { house, clocks } = await withClients(['anna'], { limitBytes: 1_000, expiresAt: START + 10 * DAY })
  const said = async (bytes: number, wait: number): Promise<unknown[]> => {
    house.events.length = 0
    house.move('anna', bytes)
    clocks.skip(wait)
    await house.tick()
    await house.restart()
    await house.tick()
    return house.events.map((event) =>
      event.type === 'limitNear'
        ? event.limit === 'traffic'
          ? `${event.percent} %`
          : event.days
        : event.type,
    )
  }
  expect(await said(799, HOUR)).toEqual([])
  expect(await said(1, HOUR)).toEqual(['80 %'])
  expect(await said(100, HOUR)).toEqual([])
  expect(await said(60, 7 * DAY)).toEqual(['95 %', 3])
  await house.update('anna', { limitBytes: 2_000 })
  expect(await said(700, HOUR)).toEqual(['80 %'])
  await house.reset('anna')
  expect(await said(1_700, HOUR)).toEqual(['80 %'])
  expect(await said(400, HOUR)).toEqual(['limitReached'])
  expect(await said(0, 3 * DAY)).toEqual(['limitReached'])
  await house.update('anna', { limitBytes: null, expiresAt: clocks.now() + 2 * DAY })
  expect(await said(0, 0)).toEqual([3])
})
