import { get } from 'node:http'
import { Bot, InlineKeyboard, InputFile } from 'grammy'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openBrowser } from '#test/support/chromium.ts'
import { type Playground, startPlayground } from './playground.ts'
import type { User } from './user.ts'

const TOKEN = '4244:page-token'
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)
let telegram: Playground
let alice: User
let bot: Bot
let browser: Browser
let page: Page
let stopped = 0
const complaints: string[] = []

beforeAll(async () => {
  browser = await openBrowser()
})
afterAll(() => browser.close())

beforeEach(async () => {
  telegram = await startPlayground({
    token: TOKEN,
    actions: [{ id: 'stop', label: 'Stop agent', run: async () => `stopped ${++stopped}` }],
    links: [{ label: 'Status page', url: 'http://127.0.0.1:1/' }],
  })
  alice = telegram.user({ id: 7, firstName: 'Alice' })
  bot = new Bot(TOKEN, { client: { apiRoot: telegram.apiRoot } })
  bot.command('start', (ctx) =>
    ctx.reply('Hi &lt;img src=x onerror=alert(1)&gt; <b>bold</b> <code>vless://x</code>', {
      parse_mode: 'HTML',
      reply_markup: new InlineKeyboard()
        .text('Refresh', 'refresh')
        .disabled('2/5')
        .row()
        .text('Delete', 'delete')
        .danger()
        .row()
        .copyText('Copy link', 'https://example.org/sub'),
    }),
  )
  bot.callbackQuery('refresh', async (ctx) => {
    await ctx.answerCallbackQuery('Refreshed')
    await ctx.editMessageText('Fresh screen', { reply_markup: new InlineKeyboard().text('Again', 'refresh') })
  })
  bot.callbackQuery('delete', (ctx) => ctx.answerCallbackQuery({ text: 'Owners only', show_alert: true }))
  bot.command('qr', async (ctx) => {
    await ctx.replyWithPhoto(new InputFile(PIXEL, 'qr.png'))
    await ctx.replyWithDocument(new InputFile(Buffer.from('{}'), 'config.json'))
  })
  bot.on('message:text', (ctx) => ctx.reply(`You said ${ctx.message.text}`))
  await bot.api.setMyCommands([{ command: 'qr', description: 'Show a code' }])
  await new Promise<void>((resolve, reject) => {
    bot.start({ onStart: () => resolve() }).catch(reject)
  })
  complaints.length = 0
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
  page = await context.newPage()
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
})
afterEach(async () => {
  await page.context().close()
  await bot.stop()
  await telegram.stop()
})

describe('the chat page', () => {
  it('types, taps, sees the edit, the toast and the alert, in a real browser', async () => {
    await page.goto(telegram.url)
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    const bubble = page.locator('.message.theirs').first()
    await bubble.getByText('Hi <img src=x onerror=alert(1)> bold').waitFor()
    expect(await bubble.locator('img').count()).toBe(0)
    expect(await bubble.locator('b').textContent()).toBe('bold')
    expect(await page.getByRole('button', { name: '2/5' }).isDisabled()).toBe(true)

    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByText('Owners only').waitFor()
    await page.getByRole('button', { name: 'OK' }).click()

    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByText('Fresh screen').waitFor()
    await page.locator('#toast').getByText('Refreshed').waitFor()
    expect(await page.locator('.message.theirs').count()).toBe(1)
    await page.locator('.key.waiting').waitFor({ state: 'detached' })

    await page.getByLabel('Message', { exact: true }).fill('hello there')
    await page.keyboard.press('Enter')
    await page.getByText('You said hello there').waitFor()
    expect(alice.messages().map(({ text }) => text)).toContain('hello there')
    expect(complaints).toEqual([])
  })

  it('offers the commands, shows photos and files, follows deletions', async () => {
    await alice.sends('/start')
    await page.goto(telegram.url)
    await page.getByRole('button', { name: 'Menu' }).click()
    await page.getByRole('button', { name: '/qr' }).click()
    const photo = page.locator('img.photo')
    await photo.waitFor()
    await expect.poll(() => photo.evaluate((image: { naturalWidth: number }) => image.naturalWidth)).toBe(1)
    const download = page.waitForEvent('download')
    await page.getByText('config.json').click()
    expect((await download).suggestedFilename()).toBe('config.json')

    const sent = await alice.sees((message) => message.document !== undefined)
    await bot.api.deleteMessage(7, sent.messageId)
    await page.locator('.file').waitFor({ state: 'detached' })
    expect(complaints).toEqual([])
  })

  it('lets one be someone else, and break things', async () => {
    telegram.user({ id: 8, firstName: 'Mallory' })
    await page.goto(telegram.url)
    await page.locator('#open-panel').click()
    // Before the tap: the answer may be there before the click is.
    const next = stopped + 1
    await page.getByRole('button', { name: 'Stop agent' }).click()
    await page.getByText(`stopped ${next}`).waitFor()
    await page.getByRole('button', { name: 'Mallory' }).click()
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.getByText('bold').waitFor()
    expect(alice.messages()).toEqual([])

    await page.locator('#open-panel').click()
    await page.getByLabel('Name of a new person').fill('Trudy')
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.getByText('bold').waitFor()
    expect(complaints).toEqual([])
  })
})

describe('the page behind its back', () => {
  const post = (path: string, headers: Record<string, string>) =>
    fetch(new URL(path, telegram.url), { method: 'POST', headers, body: '{}' })

  it('acts only for itself: same origin and its own token', async () => {
    const html = await (await fetch(telegram.url)).text()
    const token = /name="playground-token" content="([^"]+)"/.exec(html)?.[1] ?? ''
    const origin = telegram.apiRoot
    const before = stopped
    expect((await post('/page/actions/stop', {})).status).toBe(403)
    expect((await post('/page/actions/stop', { origin, 'x-playground-token': 'guess' })).status).toBe(403)
    const foreign = { origin: 'https://evil.example', 'x-playground-token': token }
    expect((await post('/page/actions/stop', foreign)).status).toBe(403)
    expect(stopped).toBe(before)
    expect((await post('/page/actions/stop', { origin, 'x-playground-token': token })).status).toBe(200)
    expect((await post('/page/actions/other', { origin, 'x-playground-token': token })).status).toBe(404)
    expect(stopped).toBe(before + 1)
  })

  it('runs its own script only, and is not framed', async () => {
    const { headers } = await fetch(telegram.url)
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).not.toContain('unsafe')
    expect(policy).toContain("frame-ancestors 'none'")
  })

  it('answers to an address or to localhost, not to a name someone points here', async () => {
    const ask = (host: string) =>
      new Promise<number>((resolve, reject) => {
        const { port } = new URL(telegram.url)
        get({ host: '127.0.0.1', port, path: '/', headers: { host: `${host}:${port}` } }, (answer) => {
          answer.resume()
          resolve(answer.statusCode ?? 0)
        }).on('error', reject)
      })
    expect(await ask('evil.example')).toBe(421)
    expect(await ask('localhost')).toBe(200)
    expect(await ask('127.0.0.1')).toBe(200)
  })

  it('serves no other file', async () => {
    for (const path of [
      '/page/../playground.ts',
      '/page/files/..%2f..%2fplayground.ts',
      '/page/index.html',
    ]) {
      expect((await fetch(new URL(path, telegram.url))).status).toBe(404)
    }
  })
})
