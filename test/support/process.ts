import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { programFile } from './programs.ts'

const root = join(import.meta.dirname, '../..')

/** One of our programs as a process of its own, which a test can start, end and kill. */
export interface Program {
  start(...args: string[]): void
  /** Ends it as systemd would, and waits. */
  stop(): Promise<void>
  /** Ends it as a crash would, and waits. */
  kill(): Promise<void>
  /** Resolves with the first line of its output that matches, from its last start on. */
  says(wanted: RegExp, timeoutMs?: number): Promise<string>
  /** Writes a line to its standard input. */
  tells(line: string): void
  /** Resolves when it has ended by itself. */
  ends(timeoutMs?: number): Promise<void>
  /** Everything it ever wrote, over all its lives. */
  output(): string
  readonly running: boolean
}

/** @param file where it begins: ours as it is shipped, unless told; relative to the project's root */
export function program(
  command: string,
  env: Record<string, string>,
  file = programFile('fleetgram'),
): Program {
  let child: ChildProcess | undefined
  let everything = ''
  let thisLife = ''

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  return {
    get running() {
      return child !== undefined
    },
    start(...args) {
      if (child !== undefined) throw new Error(`${command} runs already`)
      thisLife = ''
      const mine = spawn(process.execPath, [resolve(root, file), command, ...args], {
        cwd: root,
        env: {
          PATH: process.env['PATH'] ?? '',
          NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
          ...env,
        },
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      child = mine
      // It may end while a line is on its way to it.
      mine.stdin.on('error', () => undefined)
      for (const stream of [mine.stdout, mine.stderr]) {
        stream.setEncoding('utf8')
        stream.on('data', (text: string) => {
          everything += text
          if (child === mine) thisLife += text
        })
      }
      mine.once('exit', () => {
        if (child === mine) child = undefined
      })
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    tells: (line) => void child?.stdin?.write(`${line}\n`),
    async ends(timeoutMs = 30_000) {
      if (child === undefined) return
      await once(child, 'exit', { signal: AbortSignal.timeout(timeoutMs) })
    },
    output: () => everything,
    async says(wanted, timeoutMs = 30_000) {
      const giveUpAt = Date.now() + timeoutMs
      for (;;) {
        const line = thisLife.split('\n').find((text) => wanted.test(text))
        if (line !== undefined) return line
        if (child === undefined || Date.now() > giveUpAt) {
          throw new Error(`${command} did not say ${String(wanted)}; it said:\n${thisLife.slice(-3_000)}`)
        }
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
  }
}
