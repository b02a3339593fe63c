import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, startClientProcess } from './client-process.ts'
import { outboundOf } from './parse-link.ts'
import { getThroughSocks } from './socks-http.ts'
import { xrayBinary } from './xray-binary.ts'

export { freePort } from './client-process.ts'
export { startWebTarget, type WebTarget } from './web-target.ts'

interface Download {
  /** Bytes that have arrived so far. */
  received(): number
  /** Resolves with all bytes that came, `complete` only if none is missing. Never rejects. */
  finished: Promise<{ bytes: number; complete: boolean }>
  cancel(): void
}

/** A person's app: a second Xray that knows nothing but a share link. */
export interface XrayClient {
  socksPort: number
  /** Fetches a page through the link on a new connection. Rejects when the server refuses it, or after 10 s. */
  get(url: string): Promise<{ status: number; body: string }>
  /** Begins a download on a connection of its own; with `rateLimit` (bytes a second) it reads no faster. */
  download(url: string, options?: { rateLimit?: number }): Download
  stop(): Promise<void>
}

interface XrayClientOptions {
  binary: string
  link: string
  /** Where it connects from. Not 127.0.0.1, which Xray never counts as online. */
  localAddress?: string | undefined
  /** Where the server is told to connect, instead of the host of the address. */
  host?: string
}

const getTimeoutMs = 10_000

export async function startXrayClient(options: XrayClientOptions): Promise<XrayClient> {
  const { binary, link, localAddress = '127.0.0.9' } = options
  const through = options.host === undefined ? {} : { host: options.host }
  const socksPort = await freePort()
  const config = {
    log: { loglevel: 'info' },
    inbounds: [{ listen: '127.0.0.1', port: socksPort, protocol: 'socks', settings: { auth: 'noauth' } }],
    outbounds: [{ ...outboundOf(link), sendThrough: localAddress }],
  }
  const { stop } = await startClientProcess(binary, config, socksPort)

  return {
    socksPort,

    async get(url) {
      const response = await getThroughSocks(socksPort, url, AbortSignal.timeout(getTimeoutMs), through)
      response.setEncoding('utf8')
      let body = ''
      for await (const part of response) body += String(part)
      return { status: response.statusCode ?? 0, body }
    },

    download(url, { rateLimit } = {}) {
      const abort = new AbortController()
      let bytes = 0
      const run = async (): Promise<{ bytes: number; complete: boolean }> => {
        try {
          const response = await getThroughSocks(socksPort, url, abort.signal, through)
          for await (const part of response) {
            bytes += (part as Buffer).length
            if (rateLimit !== undefined) await sleep(((part as Buffer).length / rateLimit) * 1000)
          }
          return { bytes, complete: bytes === Number(response.headers['content-length']) }
        } catch {
          return { bytes, complete: false }
        }
      }
      return { received: () => bytes, finished: run(), cancel: () => abort.abort() }
    },

    stop,
  }
}

/** The body of a page, fetched by an app of its own. */
export async function fetchPage(link: string, url: string): Promise<string> {
  const app = await startXrayClient({ binary: xrayBinary(), link })
  try {
    return (await app.get(url)).body
  } finally {
    await app.stop()
  }
}
