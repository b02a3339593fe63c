import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBrowser } from '#test/support/chromium.ts'
import { program } from '#test/support/process.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'

const demo = program('demo', { XRAY_BIN: xrayBinary() }, 'src/main.ts')
let browser: Browser

beforeAll(async () => {
  browser = await openBrowser()
  demo.start()
})
afterAll(async () => {
  await browser.close()
  await demo.stop()
})

test('what the demo promises: one tap beside the chat brings the alert, and Xray comes back', async () => {
  const [, url] = /Chat\s+(http\S+)/.exec(await demo.says(/Chat\s+http/, 60_000)) ?? []
  const page = await browser.newPage()
  await page.goto(url ?? '')
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  const home = page.getByText(/\d of 3 online/)
  await home.waitFor()
  const online = async (): Promise<string | null> => {
    await page.getByRole('button', { name: 'Refresh' }).click()
    return home.textContent()
  }
  await expect.poll(online, { timeout: 60_000, interval: 1_000 }).toContain('3 of 3 online')
  await page.getByRole('button', { name: 'Keep Xray on home down' }).click()
  await page.getByText('Xray is down on home').waitFor({ timeout: 20_000 })
  await page.getByText('Xray on home was kept down').waitFor({ timeout: 20_000 })
  await page.getByText('home is back').waitFor({ timeout: 60_000 })
  expect(demo.output()).toContain('see the alert come')
}, 180_000)
