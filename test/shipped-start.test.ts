/** The first minutes with what is shipped, on a machine that lacks something. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startConnectProxy } from './support/connect-proxy.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')
let dir: string
let fleetgram: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shipped-'))
  fleetgram = join(dir, 'dist', 'fleetgram')
  await run(process.execPath, [join(root, 'build.ts'), '--out', join(dir, 'dist')], { cwd: root })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** Starts it, and waits until it gives up. @returns everything it said */
async function saysInTheEnd(args: string[], env: Record<string, string>): Promise<string> {
  try {
    await run(fleetgram, args, {
      cwd: dir,
      env: { PATH: '/usr/bin:/bin', NODE: process.execPath, ...env },
      timeout: 60_000,
    })
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^[^\n]+\n$/) as string })
    return stdout + stderr
  }
  throw new Error('it did not give up')
}

// Of two classes that are called alike the bundler renames one: a library that asks for the name then finds no other.
// To keep all names (esbuild's keepNames) would cost 3.5 MB of memory.
it('has no class renamed that anything knows by its name', async () => {
  const app = join(dir, 'dist', 'app')
  const files = await readdir(app)
  const code = (await Promise.all(files.map((file) => readFile(join(app, file), 'utf8')))).join('\n')
  const asked = [...code.matchAll(/constructor\.name\s*[!=]==?\s*"(\w+)"/g)].map(([, name = '']) => name)
  expect(asked).toContain('Sequence')
  const renamed = (name: string): boolean =>
    new RegExp(`\\bclass ${name}\\d+\\b|\\b${name}\\d+\\s*=\\s*class\\b`).test(code)
  // Where none at all were found to be renamed, it would be the search that is wrong.
  expect(['Integer', 'Set'].filter(renamed)).not.toEqual([])
  expect(asked.filter(renamed)).toEqual([])
})

describe('what is shipped, on a machine that lacks something', () => {
  it('names the Node it needs, where there is an older one, none, or something else', async () => {
    const old = join(dir, 'old-node')
    await writeFile(old, '#!/bin/sh\necho v20.19.0\n')
    await chmod(old, 0o755)
    const need =
      /fleetgram needs Node 24 or later\. Install it \(\S+\), or say where it is: NODE=\/path\/to\/bin\/node/
    const older = await saysInTheEnd(['start'], { NODE: old })
    expect(older).toMatch(/old-node is not the right one: .* it says: v20\.19\.0\. /)
    expect(older).toMatch(need)
    const none = await saysInTheEnd(['--version'], { NODE: join(dir, 'no-node') })
    expect(none).toMatch(/There is no program \S+no-node here\. /)
    expect(none).toMatch(need)
    expect(await saysInTheEnd(['start'], { NODE: '/bin/false' })).toMatch(need)
  })

  it('fetches Xray where there is none, by way of the proxy that the environment names', async () => {
    // It leads nowhere.
    const proxy = await startConnectProxy({})
    const said = await saysInTheEnd(['start'], {
      ...proxy.env,
      FLEETGRAM_TELEGRAM_TOKEN: `123456789:AAnobody-asks-${'x'.repeat(25)}`,
      FLEETGRAM_TELEGRAM_OWNERS: '4242',
      FLEETGRAM_DATABASE: join(dir, 'data', 'fleetgram.db'),
    })
    await proxy.stop()
    expect(proxy.asked).toContain('github.com:443')
    expect(said).toMatch(
      /it could be fetched neither as the release \(.*403.*\) nor as a Go build \(.*\)\. Put xray on PATH/,
    )
  })
})
