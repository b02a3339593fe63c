import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { outboundOf } from './parse-link.ts'
import { getThroughSocks } from './socks-http.ts'

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
}

const readyTimeoutMs = 20_000
const getTimeoutMs = 10_000

export async function startXrayClient(options: XrayClientOptions): Promise<XrayClient> {
  const { binary, link, localAddress = '127.0.0.9' } = options
  const dir = await mkdtemp(join(tmpdir(), 'xray-client-'))
  const socksPort = await freePort()
  const config = {
    log: { loglevel: 'info' },
    inbounds: [{ listen: '127.0.0.1', port: socksPort, protocol: 'socks', settings: { auth: 'noauth' } }],
    outbounds: [{ ...outboundOf(link), sendThrough: localAddress }],
  }
  await writeFile(join(dir, 'config.json'), JSON.stringify(config), { mode: 0o600 })
  const output = await open(join(dir, 'out.log'), 'w')
  const child = spawn(binary, ['run', '-c', join(dir, 'config.json')], {
    stdio: ['ignore', output.fd, output.fd],
  })
  const exited = once(child, 'exit')
  await output.close()
  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)

  const stop = async (): Promise<void> => {
    process.off('exit', killWithUs)
    child.kill('SIGKILL')
    await exited
    await rm(dir, { recursive: true, force: true })
  }

  const giveUpAt = Date.now() + readyTimeoutMs
  while (!(await accepts(socksPort))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      const said = await readFile(join(dir, 'out.log'), 'utf8')
      await stop()
      throw new Error(`the client's Xray did not start: ${said.slice(-500)}`)
    }
    await sleep(25)
  }

  return {
    socksPort,

    async get(url) {
      const response = await getThroughSocks(socksPort, url, AbortSignal.timeout(getTimeoutMs))
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
          const response = await getThroughSocks(socksPort, url, abort.signal)
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

/** A TCP port nobody listens on now. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer()
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
