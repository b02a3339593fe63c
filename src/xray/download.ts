import { FleetError, isNoRoom } from '#src/errors.ts'

/** Gets the bytes at an address. Passed in, so that a test needs no internet. */
export type Download = (url: string) => Promise<Buffer>

// Where GitHub is blocked, packets often just vanish: the next way is tried soon.
const connectTimeoutMs = 5_000
// 20 MB at 1 Mbit/s take not quite three minutes.
const downloadTimeoutMs = 180_000
const maxDownloadBytes = 128 * 1024 * 1024

/** Over HTTPS only, redirects included, through the proxy the environment names, if it names one. */
export async function downloadByHttps(url: string): Promise<Buffer> {
  // Loaded when it is needed: an HTTP client would take an agent megabytes for something done seldom.
  const { EnvHttpProxyAgent, fetch } = await import('undici')
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: connectTimeoutMs } })
  try {
    const response = await fetch(url, { dispatcher, signal: AbortSignal.timeout(downloadTimeoutMs) })
    if (!response.url.startsWith('https://')) throw new Error('the download left HTTPS')
    if (response.status === 404) throw new Error('there is no such file')
    if (!response.ok || response.body === null) throw new Error(`the download answered ${response.status}`)
    const parts: Uint8Array[] = []
    let size = 0
    for await (const part of response.body) {
      size += part.length
      if (size > maxDownloadBytes) throw new Error('the download is too large')
      parts.push(part)
    }
    return Buffer.concat(parts)
  } finally {
    await dispatcher.destroy()
  }
}

/** What is said of a file that could not be fetched. A full disk, and what is coded already, stays what it is. */
export function downloadFailure(what: string, error: unknown): unknown {
  if (error instanceof FleetError || isNoRoom(error)) return error
  return new FleetError('DOWNLOAD_FAILED', { what, reason: reasonOf(error) }, { cause: error })
}

/** Why something was not fetched, short. fetch says only "fetch failed"; what failed is its cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const deepest = error.cause instanceof Error ? error.cause : error
  return (deepest.message === '' ? deepest.name : deepest.message).split('\n').slice(0, 3).join(' ')
}
