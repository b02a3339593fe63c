import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeRuntime, createFakeRuntime } from '#test/support/fake-runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { type Web, startWeb } from './server.ts'
import type { PublicServer } from './status-model.ts'

const NOW = Date.UTC(2026, 2, 14, 9, 26, 53)
const rows: PublicServer[] = [
  { id: 1, alias: 'Amsterdam', status: 'online', enabled: true },
  { id: 9, alias: 'Lagos', status: 'partly', enabled: true },
  { id: 2, alias: 'Frankfurt am Main, the second one with a long name', status: 'error', enabled: true },
  { id: 3, alias: 'تهران', status: 'offline', enabled: true },
  { id: 4, alias: '', status: 'pending', enabled: true },
  { id: 5, alias: 'Tokyo', status: 'online', enabled: false },
]
const sizes = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 800 } }

let browser: Browser
let runtime: FakeRuntime
let shown: PublicServer[]
let web: Web

beforeAll(async () => {
  const executablePath = process.env['CHROMIUM_BIN'] ?? '/usr/bin/chromium'
  browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run'],
  })
})
afterAll(() => browser.close())
beforeEach(async () => {
  runtime = createFakeRuntime({ now: NOW })
  shown = rows
  web = await startWeb({
    listen: '127.0.0.1:0',
    fleet: { servers: { list: () => shown } },
    runtime,
    version: '0',
    log: silentLog(),
    health: () => ({ ok: true, judgedAt: NOW - 9_000 }),
  })
})
afterEach(() => web.close())

/** Relative luminance contrast of two CSS colours, as WCAG 2 defines it; runs here on what the browser computed. */
function contrast(one: string, other: string): number {
  const luminance = (color: string): number => {
    const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map((part) => {
      const value = Number(part) / 255
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

describe('the status page in a browser', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [device, viewport] of Object.entries(sizes)) {
      it(`is readable without script on a ${device} in ${colorScheme}`, async () => {
        const context = await browser.newContext({ colorScheme, viewport, javaScriptEnabled: false })
        const page = await context.newPage()
        const complaints: string[] = []
        page.on('console', (message) => complaints.push(message.text()))
        const requests: string[] = []
        page.on('request', (request) => requests.push(request.url()))
        await page.goto(web.url)
        await page.getByText('Not everything works').waitFor()
        expect(await page.getByRole('listitem').allInnerTexts()).toEqual([
          expect.stringMatching(/^Amsterdam\s+Online$/),
          expect.stringMatching(/^Lagos\s+Partly working$/),
          expect.stringMatching(/^Frankfurt.*\s+Not serving$/),
          expect.stringMatching(/^تهران\s+Offline$/),
          expect.stringMatching(/^Server 4\s+Being set up$/),
          expect.stringMatching(/^Tokyo\s+Paused$/),
        ])
        expect(requests.filter((url) => !url.startsWith('data:'))).toEqual([web.url])
        expect(complaints).toEqual([])
        const shots = process.env['SHOTS_DIR'] ?? join(tmpdir(), 'shots')
        if (existsSync(shots))
          await page.screenshot({ path: join(shots, `web-${colorScheme}-${device}.png`) })
        await context.close()
      })
    }

    it(`fits a narrow phone and keeps its contrast in ${colorScheme}`, async () => {
      const context = await browser.newContext({ colorScheme, viewport: { width: 320, height: 640 } })
      const page = await context.newPage()
      await page.goto(web.url)
      const width = await page.evaluate('document.documentElement.scrollWidth')
      expect(width).toBe(320)
      const colours =
        (await page.evaluate(`[...document.querySelectorAll('p, li bdi, .state, footer, h1, h2')].map((it) => {
        let ground = it
        while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement
        return [it.textContent, getComputedStyle(it).color, getComputedStyle(ground).backgroundColor]
      })`)) as [string, string, string][]
      expect(colours.length).toBeGreaterThan(12)
      for (const [words, ink, ground] of colours) {
        expect(contrast(ink, ground), `${words}: ${ink} on ${ground}`).toBeGreaterThanOrEqual(4.5)
      }
      await context.close()
    })
  }

  it('renews itself', async () => {
    const page = await browser.newPage()
    const answer = await page.goto(web.url)
    expect(answer?.headers()['refresh']).toBe('30')
    shown = rows.slice(0, 1)
    await runtime.advance(2_000)
    await page.reload()
    await page.getByText('Everything works').waitFor()
    await page.goto(new URL('/elsewhere', web.url).href)
    await page.getByRole('link', { name: 'Go to the status page' }).click()
    await page.getByText('Amsterdam').waitFor()
    await page.close()
  })
})
