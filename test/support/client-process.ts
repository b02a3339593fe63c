import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ClientProcess {
  /** What it has written so far. */
  output: () => Promise<string>
  stop: () => Promise<void>
}

const readyTimeoutMs = 20_000

/**
 * Somebody's Xray, in a folder of its own. It is up when `port` takes connections.
 * @throws when it ends before that, with its last words
 */
export async function startClientProcess(
  binary: string,
  config: object,
  port: number,
): Promise<ClientProcess> {
  const dir = await mkdtemp(join(tmpdir(), 'xray-client-'))
  await writeFile(join(dir, 'config.json'), JSON.stringify(config), { mode: 0o600 })
  const file = join(dir, 'out.log')
  const output = await open(file, 'w')
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
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      const said = await readFile(file, 'utf8')
      await stop()
      throw new Error(`the client's Xray did not start: ${said.slice(-500)}`)
    }
    await sleep(25)
  }
  return { output: () => readFile(file, 'utf8'), stop }
}

/** A TCP port nobody listens on now. Below those that Linux gives away by itself, to whoever connects meanwhile. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const server = createServer()
    server.listen(port, host)
    try {
      await once(server, 'listening')
    } catch {
      continue
    }
    server.close()
    await once(server, 'close')
    return port
  }
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
