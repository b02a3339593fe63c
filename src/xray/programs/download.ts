import { FleetError, isNoRoom, rootOf } from '#src/errors.ts'

/** Gets the bytes at an address. Passed in, so that a test needs no internet. */
export type Download = (url: string) => Promise<Buffer>

/** Over HTTPS only, redirects included, through the proxy the environment names, if it names one. */
export async function downloadByHttps(url: string): Promise<Buffer> {
  // Loaded when it is needed: an HTTP client would take an agent megabytes for something done seldom.
  const { download } = await import('./https-download.ts')
  return download(url)
}

/** What is said of a file that could not be fetched. A full disk, and what is coded already, stays what it is. */
export function downloadFailure(what: string, error: unknown): unknown {
  if (error instanceof FleetError || isNoRoom(error)) return error
  return new FleetError('DOWNLOAD_FAILED', { what, reason: reasonOf(error) }, { cause: error })
}

/** Why something was not fetched, short. fetch says only "fetch failed"; what failed lies beneath. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, name } = rootOf(error)
  return (message === '' ? name : message).split('\n').slice(0, 3).join(' ')
}
