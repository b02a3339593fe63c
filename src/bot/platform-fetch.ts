import type { ApiClientOptions } from 'grammy'

/** What the API client passes beside the ordinary: its polyfilled signal, and options of node-fetch. */
interface ClientInit extends Omit<RequestInit, 'signal'> {
  signal?: { aborted: boolean; addEventListener(type: 'abort', listener: () => void): void }
  agent?: unknown
  compress?: unknown
}

/** Lets the API client call through a `fetch` of the platform's kind, such as one with a proxy beneath. */
export function platformFetch(fetch: typeof globalThis.fetch): NonNullable<ApiClientOptions['fetch']> {
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
