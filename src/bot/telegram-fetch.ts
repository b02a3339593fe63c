import type { ApiClientOptions } from 'grammy'
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici'

/**
 * A connection to Telegram is kept for this long, ms: who taps now and then waits for no handshake. Its servers give up
 * an idle one after 75 s, as nginx does.
 */
const KEEP_ALIVE_MS = 55_000

export interface TelegramLine {
  fetch: typeof globalThis.fetch
  /** Ends what is still under way. */
  close(): Promise<void>
}

/**
 * Connections to Telegram: through the proxy that HTTPS_PROXY names, as where it is blocked, unless NO_PROXY has the
 * host. A Bot API server of one's own, without TLS, is reached without. HTTP/1.1, as every client of the Bot API
 * speaks it: by HTTP/2 all calls would share one connection, and end with it.
 */
export function openTelegramLine(): TelegramLine {
  const dispatcher = new EnvHttpProxyAgent({
    httpProxy: '',
    keepAliveTimeout: KEEP_ALIVE_MS,
    allowH2: false,
  })
  const call = (input: string, init: object) => undiciFetch(input, { ...init, dispatcher })
  return { fetch: call as unknown as typeof globalThis.fetch, close: () => dispatcher.destroy() }
}

/** What the API client passes beside the ordinary: its polyfilled signal, and options of node-fetch. */
interface ClientInit extends Omit<RequestInit, 'signal'> {
  signal?: { aborted: boolean; addEventListener(type: 'abort', listener: () => void): void }
  agent?: unknown
  compress?: unknown
}

/**
 * Lets the API client call through a `fetch` of the platform's kind. Its own, node-fetch, is from before Node had one: it
 * knows a signal by the name of its class, which a bundler changes, and then refuses every call.
 */
export function forClient(fetch: typeof globalThis.fetch): NonNullable<ApiClientOptions['fetch']> {
  const call = (input: string | URL, init: ClientInit = {}): Promise<Response> => {
    const { signal, agent: _agent, compress: _compress, ...rest } = init
    const abort = new AbortController()
    if (signal?.aborted === true) abort.abort()
    signal?.addEventListener('abort', () => abort.abort())
    // A body that is a stream, as uploads are, must say that it is sent before the answer is read.
    return fetch(input, { ...rest, duplex: 'half', signal: abort.signal } as RequestInit)
  }
  // The client's type is node-fetch's; what it uses of it, the platform has too.
  return call as unknown as NonNullable<ApiClientOptions['fetch']>
}
