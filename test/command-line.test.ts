import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPlayground } from '#src/playground/playground.ts'
import { systemRuntime } from '#src/runtime.ts'
import { fixedProgram } from '#src/xray/programs/program.ts'
import { createXrayProcess } from '#src/xray/life/process.ts'
import { silentLog } from './support/silent-log.ts'
import { xrayBinary } from './support/xray-binary.ts'
import { freePort } from './support/xray-client.ts'

const main = join(import.meta.dirname, '../src/main.ts')
const token = '4243424344:AAcommand-line-test-token-of-35-c'
let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'command-line-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs the command line until it ends by itself. */
function run(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args], {
      cwd: dir,
      env: { PATH: '/usr/bin:/bin', XRAY_BIN: xrayBinary(), HOME: dir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    })
    const said = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
    child.once('close', (code) => resolve({ code, ...said }))
  })
}

/** What a controller needs, on addresses of its own. */
async function controllerEnv(
  home: string,
  more: Record<string, string> = {},
): Promise<Record<string, string>> {
  return {
    FLEETGRAM_TELEGRAM_TOKEN: token,
    FLEETGRAM_TELEGRAM_OWNERS: '42',
    // Nobody is asked there: what these tests are about comes first.
    FLEETGRAM_TELEGRAM_API_ROOT: 'http://127.0.0.1:9',
    FLEETGRAM_DATABASE: join(dir, home, 'fleetgram.db'),
    FLEETGRAM_WEB_LISTEN: `127.0.0.1:${await freePort()}`,
    FLEETGRAM_GATEWAY_LISTEN: `127.0.0.1:${await freePort()}`,
    FLEETGRAM_LOCAL_PUBLIC_ADDRESS: '127.0.0.1',
    ...more,
  }
}

/** An orderly refusal: exit code 1, one line that says what to do, no stack, no token. */
function expectLastWords(outcome: Outcome, words: RegExp): void {
  expect(outcome.stderr).toMatch(words)
  expect(outcome.stderr.trim()).not.toContain('\n')
  expect(outcome.stdout + outcome.stderr).not.toMatch(/\n\s+at |AAcommand-line/)
  expect(outcome.code).toBe(1)
}

describe('the command line', () => {
  it('says how it is used, and which release it is', async () => {
    const help = await run(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toMatch(/npm start[^]*npm run agent -- join TOKEN[^]*npm run demo/)
    expect(await run(['agent', '--help'])).toEqual(help)
    const version = await run(['--version'])
    expect(version).toMatchObject({ code: 0, stderr: '' })
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  it.each([
    [[], 'What is to be done?'],
    [['strat'], 'Not known: strat'],
    [['start', 'now'], 'Not known: start now'],
    [['start', '--confg', 'x.json'], "Unknown option '--confg'"],
    [['start', '--config'], 'argument missing'],
    [['agent', 'join'], 'Which token?'],
    [['agent', 'leave'], 'Not known: agent leave'],
    [['agent', 'join', 'fg1.host:1.secret', 'fg1.host:1.secret'], 'Not known: agent join <join token>'],
    [['start', token], 'Not known: start <bot token>'],
  ])('is not understood as %j: what is wrong, how it is used, exit code 2', async (args, words) => {
    const { code, stdout, stderr } = await run(args)
    expect(stderr).toContain(words)
    expect(stderr).toContain('npm start -- [--config FILE]')
    expect(stderr).not.toMatch(/\n\s+at |secret|AAcommand-line/)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })
})

describe('a start that cannot be', () => {
  it('for its configuration names the key, the file and the reason', async () => {
    expectLastWords(
      await run(['start']),
      /^telegram\.token in bot\.config\.json is not right: it must be set, and there is no such file in \/.*command-line-/,
    )
    await writeFile(join(dir, 'broken.json'), `{ "telegram": { "token": "${token}", } }`)
    expectLastWords(
      await run(['start', '--config', 'broken.json']),
      /broken\.json is not right: it is not JSON/,
    )
    const odd = { FLEETGRAM_AGENT_LISTEN: 'here' }
    expectLastWords(
      await run(['agent'], odd),
      /^FLEETGRAM_AGENT_LISTEN in the environment is not right: write it as host:port/,
    )
  })

  it('names a variable that is no setting, since it may be why', async () => {
    const { stdout } = await run(['agent'], { FLEETGRAM_AGENT_DATTA: 'here', FLEETGRAM_DATABASE: 'mine' })
    expect(stdout).toMatch(/"variables":\["FLEETGRAM_AGENT_DATTA"\],"msg":"no setting is called so/)
  })

  it('for a machine that has not joined says how to join', async () => {
    expectLastWords(await run(['agent']), /has not joined .* Add a server in the chat/)
    for (const args of [
      ['join', 'fg2.x'],
      ['--config', 'none.json', 'join', 'fg2.x'],
    ])
      expectLastWords(await run(['agent', ...args]), /not a join token: it does not begin with fg1/)
  })

  it('for a folder that cannot be made names it', async () => {
    await writeFile(join(dir, 'file'), '')
    expectLastWords(
      await run(['start'], await controllerEnv('file/home')),
      /^The place \S+file\/home cannot be written to: a part of this path is a file.* \(id \d+\)/,
    )
  })

  it.each(['FLEETGRAM_WEB_LISTEN', 'FLEETGRAM_GATEWAY_LISTEN'])(
    'for a taken address (%s) names it, and leaves Xray alone',
    async (name) => {
      const other = createServer()
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
      const { port } = other.address() as { port: number }
      const taken = await run(['start'], await controllerEnv(name, { [name]: `127.0.0.1:${port}` }))
      other.close()
      expectLastWords(taken, new RegExp(`Cannot listen on 127.0.0.1:${port}: another program listens there`))
      expect(existsSync(join(dir, name, 'xray', 'xray.pid.json'))).toBe(false)
    },
  )

  it('for a bot token that Telegram refuses says where to get one', async () => {
    const playground = await startPlayground({ token: `${token.slice(0, -3)}xyz` })
    const env = await controllerEnv('refused', { FLEETGRAM_TELEGRAM_API_ROOT: playground.apiRoot })
    const refused = await run(['start'], env)
    await playground.stop()
    // Whoever is served already is served on: what runs is left running.
    const xray = createXrayProcess({
      program: fixedProgram(xrayBinary()),
      dir: join(dir, 'refused', 'xray'),
      runtime: systemRuntime(),
      log: silentLog(),
    })
    await xray.stop()
    await xray.detach()
    expectLastWords(refused, /Telegram refused the bot token\. Get the right one from @BotFather/)
  }, 90_000)

  /** Starts it with an error thrown that nobody catches. */
  const runInto = (error: string): Promise<Outcome> => {
    const accident = `setImmediate(() => { throw ${error} })`
    return run(['--version'], {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(`setTimeout(() => {${accident}}, 1)`)}`,
    })
  }

  it('for something nobody has thought of shows no secret', async () => {
    const { code, stderr } = await runInto(`new Error('GET /bot${token}/getMe failed')`)
    expect(stderr).toContain('GET /bot<bot token>/getMe failed')
    expect(stderr).not.toContain('AAcommand-line')
    expect(code).toBe(1)
  })

  it('for a file that may not be read names it, and who has to be let', async () => {
    const forbidden = `Object.assign(new Error("EACCES: permission denied, open 'x.key'"), { code: 'EACCES', syscall: 'open' })`
    const words = /^EACCES: .*'x\.key'\. Let the user that fleetgram runs as \(id \d+\) do that\.$/m
    expectLastWords({ ...(await runInto(forbidden)), stdout: '' }, words)
  })
})
