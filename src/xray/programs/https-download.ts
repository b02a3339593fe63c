import { EnvHttpProxyAgent, fetch } from 'undici'

// Where GitHub is blocked, packets often just vanish: the next way is tried soon.
const connectTimeoutMs = 5_000
// 20 MB at 1 Mbit/s take not quite three minutes.
const downloadTimeoutMs = 180_000
const maxDownloadBytes = 128 * 1024 * 1024

/** What is at an address of HTTPS, and after its redirects. Only through download.ts, which loads this when needed. */
export async function download(url: string): Promise<Buffer> {
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: connectTimeoutMs }, allowH2: false })
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
