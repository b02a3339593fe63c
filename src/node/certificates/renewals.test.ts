import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { type Certificate, type Challenge, challenges } from '#src/contract/certificates.ts'
import { systemRuntime } from '#src/runtime.ts'
import { type CertificateDesk, newKey, openCertificateDesk } from '#test/support/certificate-desk.ts'
import { type Pebble, startPebble } from '#test/support/pebble.ts'
import { type StandingClock, standingClock } from '#test/support/standing-order.ts'
import { haveSameKey } from './pem.ts'

const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR
const domain = 'long.example.org'

let pebble: Pebble
let desk: CertificateDesk
let clock: StandingClock
/** ms the node's clock is ahead of Pebble's. */
let ahead: number
const now = (): number => Date.now() + ahead
const goTo = (time: number): void => {
  ahead += time - now()
}

beforeAll(async () => {
  pebble = await startPebble()
})
afterAll(() => pebble.remove())
beforeEach(async () => {
  ahead = 0
  clock = standingClock({ ...systemRuntime(), now })
  desk = await openCertificateDesk({ acme: pebble.settings, runtime: clock })
})
afterEach(async () => {
  await desk.close()
  await pebble.start()
})

async function get(method: Challenge = 'http-01'): Promise<Certificate & { nextTryAt: number }> {
  const row = await desk.operations['certificates.generate']({ domain, method }, newKey())
  if (row.nextTryAt === null) throw new Error('it is not renewed by itself')
  return { ...row, nextTryAt: row.nextTryAt }
}
async function only(): Promise<Certificate> {
  const [row] = await desk.operations['certificates.list'](undefined, {})
  if (row === undefined) throw new Error('there is none')
  return row
}

it.each(challenges)('is renewed by %s with a third of its life left, and not before', async (challenge) => {
  const first = await get(challenge)
  expect(first.nextTryAt - first.notBefore).toBeGreaterThanOrEqual(60 * DAY - HOUR)
  expect(first.nextTryAt - first.notBefore).toBeLessThanOrEqual(62 * DAY)
  const file = (await desk.fileOf(domain)) ?? ''

  goTo(first.nextTryAt - HOUR)
  await desk.certificates.look()
  expect(await only()).toMatchObject({ sha256: first.sha256 })

  goTo(first.nextTryAt)
  await desk.certificates.look()
  const second = await only()
  expect(second.sha256).not.toBe(first.sha256)
  expect(second).toMatchObject({ challenge, lastError: null, createdAt: first.createdAt })
  expect(second.updatedAt).toBeGreaterThan(first.updatedAt)
  // The file follows, with the same key: a reader who comes in between finds nothing that does not go together.
  const renewed = (await desk.fileOf(domain)) ?? ''
  expect(renewed).not.toBe(file)
  expect(haveSameKey(renewed, file)).toBe(true)
  expect(renewed.slice(renewed.indexOf('-----BEGIN PRIVATE'))).toBe(
    file.slice(file.indexOf('-----BEGIN PRIVATE')),
  )
  // It is not due again at once, though by a clock this far ahead it would be.
  await desk.certificates.look()
  expect(await only()).toEqual({ ...second, daysLeft: (await only()).daysLeft })
  expect(desk.soonDue).toEqual([])
})

it('that fails is tried again, later each time and over a restart, and is said once its end is near', async () => {
  const first = await get()
  await pebble.stop()
  goTo(first.nextTryAt)
  for (const [failures, hours] of [1, 2, 4, 8, 12, 12].entries()) {
    await desk.certificates.look()
    const row = await only()
    expect(row).toMatchObject({
      sha256: first.sha256,
      lastError: expect.stringContaining('connection refused') as string,
    })
    const wait = ((row.nextTryAt ?? 0) - now()) / HOUR
    expect(wait).toBeGreaterThan(hours - 0.01)
    expect(wait).toBeLessThan(hours * 1.1)
    // Not before its time.
    await desk.certificates.look()
    expect(await only()).toMatchObject({ nextTryAt: row.nextTryAt })
    if (failures === 2) await desk.restart()
    goTo(row.nextTryAt ?? 0)
  }
  expect(desk.soonDue).toEqual([])

  goTo(first.notAfter - 10 * DAY)
  await desk.certificates.look()
  await desk.certificates.look()
  expect(desk.soonDue).toEqual([{ domain, daysLeft: 9 }])
  goTo(now() + DAY)
  await desk.certificates.look()
  expect(desk.soonDue).toEqual([
    { domain, daysLeft: 9 },
    { domain, daysLeft: 8 },
  ])

  await pebble.start()
  goTo(now() + DAY)
  await desk.certificates.look()
  const renewed = await only()
  expect(renewed.sha256).not.toBe(first.sha256)
  expect(renewed).toMatchObject({ lastError: null })
  const failures = desk.db.prepare('select failures from certificates').pluck().get()
  expect(failures).toBe(0)
})

it('may be asked for at any time', async () => {
  const first = await get()
  const call = newKey()
  const second = await desk.operations['certificates.renew']({ domain }, call)
  expect(second.sha256).not.toBe(first.sha256)
  const orders = pebble.orders()
  expect(await desk.operations['certificates.renew']({ domain }, call)).toEqual(second)
  expect(pebble.orders()).toBe(orders)
})

it('does not overwrite what somebody put there meanwhile', async () => {
  await get()
  const order = clock.hold(pebble, desk.db)
  const renewing = desk.operations['certificates.renew']({ domain }, newKey())
  const refused = expect(renewing).rejects.toMatchObject({ code: 'STALE_ROW_VERSION' })
  await order.reached(domain)
  const own = await desk.operations['certificates.generate'](
    { domain, method: 'self-signed', days: 30 },
    newKey(),
  )
  order.release()
  await refused
  expect(await only()).toEqual(own)
})

it('and one that is deleted meanwhile stays deleted', async () => {
  await get()
  const order = clock.hold(pebble, desk.db)
  const renewing = desk.operations['certificates.renew']({ domain }, newKey())
  const refused = expect(renewing).rejects.toMatchObject({ code: 'CERTIFICATE_NOT_FOUND' })
  await order.reached(domain)
  await desk.operations['certificates.delete']({ domain }, newKey())
  order.release()
  await refused
  expect(await desk.operations['certificates.list'](undefined, {})).toEqual([])
  expect(await desk.fileOf(domain)).toBeNull()
})

it('a node that ends during a renewal has not failed', async () => {
  const { nextTryAt } = await get()
  goTo(nextTryAt)
  const order = clock.hold(pebble, desk.db)
  const looking = desk.certificates.look()
  await order.reached(domain)
  await desk.certificates.stop()
  await looking
  order.release()
  expect(await only()).toMatchObject({ lastError: null, nextTryAt })
})
