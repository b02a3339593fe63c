import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { appendFile, open } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '#test/support/silent-log.ts'
import { mountSmallDisk } from '#test/support/small-disk.ts'
import { freePort } from '#test/support/xray-client.ts'
import { plainInbound, startXrayServer } from '#test/support/xray-server.ts'
import { rotateLog } from './log-rotation.ts'
import { xrayPaths } from './process-types.ts'

let dir: string
let file: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rotation-'))
  file = join(dir, 'error.log')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const rotate = (limit: number) => rotateLog(file, silentLog(), limit)
const size = (path: string): number => statSync(path).size

test('a small log is left alone, and one that is not there too', async () => {
  await rotate(10)
  expect(readdirSync(dir)).toEqual([])
  writeFileSync(file, '123456789')
  await rotate(10)
  expect(readdirSync(dir)).toEqual(['error.log'])
})

test('a large one becomes the old part, in place of the one before', async () => {
  for (const text of ['first part\n', 'second part\n']) {
    writeFileSync(file, text)
    await rotate(10)
    expect([size(file), readFileSync(`${file}.1`, 'utf8')]).toEqual([0, text])
  }
  expect(readdirSync(dir)).toEqual(['error.log', 'error.log.1'])
  expect(statSync(`${file}.1`).mode & 0o777).toBe(0o600)
})

test('of one that grew too fast the end is kept', async () => {
  writeFileSync(file, `${'x'.repeat(1_000_000)}the end`)
  await rotate(1_000)
  expect(size(file)).toBe(0)
  expect(readFileSync(`${file}.1`, 'utf8')).toMatch(/^x{1993}the end$/)
})

test('what was left of a rotation cut short is no hindrance', async () => {
  writeFileSync(`${file}.1.new`, 'half')
  writeFileSync(file, 'a whole log')
  await rotate(10)
  expect(readFileSync(`${file}.1`, 'utf8')).toBe('a whole log')
})

test('one who goes on writing loses next to nothing', async () => {
  const lines = 20_000
  const writer = await open(file, 'a')
  let written = 0
  const write = async (): Promise<void> => {
    while (written < lines) await writer.appendFile(`${String(written++).padStart(6, '0')}\n`)
  }
  const seen = new Set<string>()
  const look = (path: string): void => {
    for (const line of readFileSync(path, 'utf8').split('\n')) seen.add(line)
  }
  const writing = write()
  while (written < lines) {
    await rotate(7_000)
    try {
      look(`${file}.1`)
    } catch {
      // Not large enough for a first rotation.
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await writing
  await writer.close()
  look(file)
  expect(seen.size).toBeGreaterThan(lines * 0.99)
})

test('on a full disk the room counts more than the old part', async (context) => {
  const disk = await mountSmallDisk(2)
  if (disk === undefined) return context.skip('mounting a small disk takes root')
  try {
    const full = join(disk.dir, 'error.log')
    writeFileSync(full, 'x'.repeat(900_000))
    writeFileSync(`${full}.1`, 'old')
    disk.fill()
    await rotateLog(full, silentLog(), 1_000_000)
    expect(size(full)).toBe(900_000)
    await rotateLog(full, silentLog(), 100_000)
    expect(size(full)).toBe(0)
    await appendFile(full, 'there is room again')
    expect(readdirSync(disk.dir).filter((name) => name.startsWith('error'))).toEqual(['error.log'])
  } finally {
    await disk.end()
  }
})

test('a running Xray goes on at the beginning, in its log and in what it prints', async () => {
  const port = await freePort()
  const xray = await startXrayServer([plainInbound('in', port)], (config) => ({
    ...config,
    log: { ...(config as { log: object }).log, loglevel: 'debug' },
  }))
  try {
    const paths = xrayPaths(xray.dir)
    /** Has Xray complain of somebody who speaks no VLESS. */
    const provoke = async (): Promise<void> => {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.end('GET / HTTP/1.1\r\n\r\n'.repeat(10))
      await once(socket.resume(), 'close')
    }
    const text = (): string => readFileSync(paths.log, 'utf8')
    await provoke()
    await expect.poll(text, { timeout: 10_000 }).toMatch(/\[Info\].*invalid request/)
    const before = size(paths.log)
    expect(before).toBeGreaterThan(200)
    await rotateLog(paths.log, silentLog(), before)
    expect(size(`${paths.log}.1`)).toBe(before)
    await provoke()
    await expect.poll(text, { timeout: 10_000 }).toMatch(/invalid request/)
    // No hole of the former size before it.
    expect(text()).toMatch(/^\d{4}\/\d\d\/\d\d /)

    await rotateLog(paths.output, silentLog(), size(paths.output))
    expect(readFileSync(`${paths.output}.1`, 'utf8')).toMatch(/^Xray /)
    const { pid } = xray.process.state()
    // Let go of, so that nobody starts it again over its last words.
    await xray.process.detach()
    process.kill(Number(pid), 'SIGQUIT')
    // Go prints where it is: its last words.
    await expect.poll(() => readFileSync(paths.output, 'utf8'), { timeout: 10_000 }).toMatch(/^SIGQUIT: quit/)
  } finally {
    await xray.stop()
  }
})
