import { createHash } from 'node:crypto'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { listen as listenAt } from '#src/connectors/listening.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { formatAddress, parseAddress } from '#src/trust/address.ts'
import { type PublicServer, type WebHealth, statusModel } from './status-model.ts'
import { REFRESH_EVERY_S, notFoundPage, statusPage } from './status-page.ts'
import { statusStyle } from './status-style.ts'

type Write = (details: object, message: string) => void

export interface Web {
  /** http://host:port/ */
  url: string
  /** Frees the port; requests under way are cut. */
  close(): Promise<void>
}

export interface WebOptions {
  /** `host:port` */
  listen: string
  fleet: { servers: { list(): readonly PublicServer[] } }
  runtime: Pick<Runtime, 'now'>
  /** Said in the log alone: a page for anyone tells nobody which holes to try. */
  version: string
  log: { info: Write; error: Write }
  /** Left out: health is taken to do its work. */
  health?: (() => WebHealth) | undefined
  /** How long a request may take to arrive, ms. */
  patienceMs?: number
}

/** ms. A crowd that reloads while something is down costs one rendering in this time, not one each. */
const SNAPSHOT_FOR_MS = 2_000
/** Anyone may connect, so whoever is slow is let go. A request here is a line and some headers. */
const REQUEST_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 512
const MAX_HEADER_BYTES = 8 * 1024

const styleHash = createHash('sha256').update(statusStyle).digest('base64')
const headers: Readonly<Record<string, string>> = {
  // The one thing the page uses is its own style, named by its hash; the empty icon spares a request.
  'content-security-policy':
    `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // Found by those who were given the address, not by a search engine.
  'x-robots-tag': 'noindex, nofollow',
  'cache-control': 'no-store',
}

/**
 * The public side: `GET /` is the status page, `GET /healthz` says whether this controller does its work, and nothing
 * else answers.
 * @throws FleetError ADDRESS_TAKEN, or BAD_INPUT when `listen` is no address
 */
export async function startWeb(options: WebOptions): Promise<Web> {
  const { fleet, runtime, version, log, patienceMs = REQUEST_TIMEOUT_MS } = options
  const listen = parseAddress(options.listen)
  if (listen === undefined) fail('BAD_INPUT', { field: 'listen', reason: 'write it as host:port' })
  const health = options.health ?? ((): WebHealth => ({ ok: true }))
  const snapshot = remember(runtime, () =>
    statusPage(statusModel(fleet.servers.list(), health(), runtime.now())),
  )

  const app = new Hono()
  app.use(async (context, next) => {
    for (const [name, value] of Object.entries(headers)) context.header(name, value)
    await next()
  })
  app.get('/', async (context) => {
    context.header('refresh', String(REFRESH_EVERY_S))
    return context.html(await snapshot())
  })
  app.get('/healthz', (context) => {
    const { ok, judgedAt } = health()
    const body = {
      status: ok ? 'ok' : 'stalled',
      judgedAt: typeof judgedAt !== 'number' ? null : new Date(judgedAt).toISOString(),
    }
    return context.json(body, ok ? 200 : 503)
  })
  app.notFound(async (context) => context.html(await notFoundPage(), 404))
  app.onError((error, context) => {
    log.error({ error, path: context.req.path }, 'the web page failed')
    return context.text('Something went wrong here.\n', 500, headers)
  })

  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      requestTimeout: patienceMs,
      headersTimeout: patienceMs,
      // Node looks only so often who is late: every 30 s, unless told.
      connectionsCheckingInterval: patienceMs / 5,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  })
  server.maxConnections = MAX_CONNECTIONS
  const listening = await listenAt(server, listen)
  const url = `http://${formatAddress(listening)}/`
  log.info({ url, version }, 'the status page is up')
  return { url, close: () => listening.close() }
}

/** Makes a value once in SNAPSHOT_FOR_MS, however many ask; one that failed is made again at once. */
function remember(runtime: Pick<Runtime, 'now'>, make: () => Promise<string>): () => Promise<string> {
  let made: { at: number; value: Promise<string> } | undefined
  return () => {
    const now = runtime.now()
    if (made === undefined || now - made.at >= SNAPSHOT_FOR_MS || now < made.at) {
      const fresh = { at: now, value: make() }
      fresh.value.catch(() => {
        if (made === fresh) made = undefined
      })
      made = fresh
    }
    return made.value
  }
}
