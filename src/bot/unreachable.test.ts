import { afterEach, beforeEach, expect, test } from 'vitest'
import { createBot } from '#src/bot/bot.ts'
import { startPlayground } from '#src/playground/playground.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { hurriedRuntime } from '#test/support/hurried-runtime.ts'
import { createTempStore } from '#test/support/temp-store.ts'
import { freePort } from '#test/support/xray-client.ts'

const token = '424242:unreachable-token-that-must-not-leak'
/** An outage of ten minutes in two seconds. */
const runtime = hurriedRuntime(300)
let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(() => house.end())

test('an outage is told with its reason while it is news, and its end; no log holds the token', async () => {
  const said: string[] = []
  const say = (details: object, message: string): void =>
    void said.push(`${message} ${JSON.stringify(details)}`)
  const count = (words: RegExp): number => said.filter((line) => words.test(line)).length
  const store = createTempStore(0)
  const listen = `127.0.0.1:${await freePort()}`
  const bot = createBot({
    token,
    apiRoot: `http://${listen}`,
    owners: [],
    db: store.db(),
    box: secretBoxFor(Buffer.alloc(32)),
    fleet: house.fleet,
    runtime,
    log: { info: say, warn: say, error: say },
  })
  const patience = { timeout: 20_000 }
  await bot.start()
  // Tried after 1, 2, 4, 8, 16 and 30 s, and then every 30 s without a word.
  await expect.poll(() => count(/^Telegram cannot be reached yet.*telegram\.apiRoot/), patience).toBe(6)
  await runtime.sleep(600_000)
  expect(count(/cannot be reached/)).toBe(6)
  expect(said[0]).toMatch(/"api":"127\.0\.0\.1:\d+",.*"reason":"nothing listens there.*"waitMs":1000/)

  const first = await startPlayground({ token, listen, runtime })
  await expect.poll(() => count(/^Telegram is reached .*fleetgram_bot/), patience).toBe(1)
  await runtime.sleep(60_000)
  await first.stop()
  await expect.poll(() => count(/^no updates from Telegram.*"waitMs":15000/), patience).toBe(1)
  await runtime.sleep(600_000)
  expect(count(/^no updates from Telegram/)).toBeLessThanOrEqual(7)
  expect(count(/come again/)).toBe(0)
  const second = await startPlayground({ token, listen, runtime })
  await expect.poll(() => count(/^updates from Telegram come again/), patience).toBe(1)

  await bot.stop()
  await second.stop()
  store.remove()
  expect(said.join('\n')).not.toContain('must-not-leak')
}, 60_000)
