import { html, raw } from 'hono/html'
import type { Overall, PublicState, StatusModel } from './status-model.ts'
import { ago } from './status-model.ts'
import { statusStyle } from './status-style.ts'

/** What a page is made into. The tag answers with a promise only where a part of it is one; here none is. */
type Html = ReturnType<typeof html>

type Tone = 'good' | 'bad' | 'warn' | 'calm'
interface Look {
  tone: Tone
  icon: keyof typeof shapes
  words: string
}

/** Told by shape as well as by colour, for those who see no difference between green and red. */
const shapes = {
  check: '<path d="M5 10.5l3.2 3.2L15 7"/>',
  cross: '<path d="M6 6l8 8M14 6l-8 8"/>',
  alert: '<path d="M10 5v6.5M10 15v.2"/>',
  clock: '<path d="M10 5.5V10l3 2"/>',
  pause: '<path d="M7.5 6.5v7M12.5 6.5v7"/>',
  question: '<path d="M7.7 7.8a2.4 2.4 0 114 2c-.9.7-1.6 1-1.6 2.2M10 15v.2"/>',
} as const

const states: Record<PublicState, Look> = {
  online: { tone: 'good', icon: 'check', words: 'Online' },
  offline: { tone: 'bad', icon: 'cross', words: 'Offline' },
  error: { tone: 'warn', icon: 'alert', words: 'Not serving' },
  partly: { tone: 'warn', icon: 'alert', words: 'Partly working' },
  pending: { tone: 'calm', icon: 'clock', words: 'Being set up' },
  paused: { tone: 'calm', icon: 'pause', words: 'Paused' },
  unknown: { tone: 'calm', icon: 'question', words: 'Not known' },
}

const banners: Record<Overall, Look> = {
  good: { tone: 'good', icon: 'check', words: 'Everything works' },
  partly: { tone: 'warn', icon: 'alert', words: 'Not everything works' },
  down: { tone: 'bad', icon: 'cross', words: 'Nothing works at the moment' },
  waiting: { tone: 'calm', icon: 'clock', words: 'Nothing to watch yet' },
  unknown: { tone: 'calm', icon: 'question', words: 'The state is not known right now' },
}

const icon = (name: keyof typeof shapes): Html =>
  html`<svg
    viewBox="0 0 20 20"
    fill="none"
    stroke="currentColor"
    stroke-width="2"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    <circle cx="10" cy="10" r="9" stroke-width="1.5" opacity=".45" />
    ${raw(shapes[name])}
  </svg>`

/** Made here and not in the page's template: one more blank, and its hash in the policy is another. */
const styleElement = raw(`<style>${statusStyle}</style>`)

/** s. The page asks for itself again by a header of its own, so that an open one stays true without script. */
export const REFRESH_EVERY_S = 30

/** The status page as HTML, whole. Needs no script and no other request. */
export async function statusPage(model: StatusModel): Promise<string> {
  const banner = banners[model.overall]
  return page(
    banner.words,
    html`<h1>Status</h1>
      <div class="banner ${banner.tone}">
        ${icon(banner.icon)}
        <div>
          <p class="headline">${banner.words}</p>
          <p class="when">${lastJudged(model)}</p>
        </div>
      </div>
      <h2>Servers</h2>
      ${model.servers.length === 0 ? html`<p class="empty">There is no server yet.</p>` : serverList(model)}`,
    html`This page renews itself every ${REFRESH_EVERY_S} seconds.`,
  )
}

/** What stands at every other address. */
export async function notFoundPage(): Promise<string> {
  return page(
    'Not found',
    html`<h1>Status</h1>
      <div class="banner calm">
        ${icon('question')}
        <div>
          <p class="headline">There is nothing here</p>
          <p class="when"><a href="/">Go to the status page</a></p>
        </div>
      </div>`,
    '',
  )
}

function serverList({ servers }: StatusModel): Html {
  return html`<ul>
    ${servers.map(({ label, state }) => {
      const look = states[state]
      return html`<li>
        <bdi>${label}</bdi><span class="state ${look.tone}">${icon(look.icon)}${look.words}</span>
      </li> `
    })}
  </ul>`
}

function lastJudged({ judgedAt, now }: StatusModel): Html {
  if (judgedAt === null) return html`The first check is under way`
  const at = new Date(judgedAt).toISOString()
  const shown = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`
  return html`Last checked ${ago(now - judgedAt)} ago, <time datetime="${at}">${shown}</time>`
}

async function page(title: string, main: Html, footer: Html | string): Promise<string> {
  const whole = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · Status</title>
        <link rel="icon" href="data:," />
        ${styleElement}
      </head>
      <body>
        <main>${main}</main>
        <footer>${footer}</footer>
      </body>
    </html> `
  return String(whole)
}
