/** Many people's apps in one process: an Xray with an outbound for each of them. */
import { freePort, startClientProcess } from './client-process.ts'
import type { Outbound } from './parse-link-stream.ts'
import { getThroughSocks } from './socks-http.ts'

export interface XrayApps {
  /**
   * Fetches a page by the app of this name, on a new connection. Rejects when the server refuses it, or after `ms`.
   * @param host where the server is told to connect, instead of the host of the address
   */
  get(name: string, url: string, options?: { ms?: number; host?: string }): Promise<string>
  /** What its Xray has said of all of them. */
  output(): Promise<string>
  stop(): Promise<void>
}

const password = 'told by name'

/** @param outbounds by the name of the app */
export async function startXrayApps(
  binary: string,
  outbounds: ReadonlyMap<string, Outbound>,
): Promise<XrayApps> {
  const port = await freePort()
  const names = [...outbounds.keys()]
  const { output, stop } = await startClientProcess(
    binary,
    {
      log: { loglevel: 'info' },
      inbounds: [
        {
          listen: '127.0.0.1',
          port,
          protocol: 'socks',
          settings: { auth: 'password', accounts: names.map((user) => ({ user, pass: password })) },
        },
      ],
      outbounds: names.map((tag) => ({ tag, ...outbounds.get(tag) })),
      routing: { rules: names.map((name) => ({ user: [name], outboundTag: name })) },
    },
    port,
  )
  return {
    async get(user, url, { ms = 10_000, host } = {}) {
      const via = { user, password, ...(host === undefined ? {} : { host }) }
      const response = await getThroughSocks(port, url, AbortSignal.timeout(ms), via)
      response.setEncoding('utf8')
      let body = ''
      for await (const part of response) body += String(part)
      return body
    },
    output,
    stop,
  }
}
