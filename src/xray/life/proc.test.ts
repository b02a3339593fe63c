import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { findByArguments, identify, isStillRunning, parseStat } from './proc.ts'

it('reads a process’s state and start whatever its name', () => {
  const rest = `S 1 2 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1000 100 18446744073709551615`
  for (const name of ['xray', 'a b', '(x) Z 1 2)', ') S']) {
    expect(parseStat(`42 (${name}) ${rest}`)).toEqual({ state: 'S', startTime: '987654' })
  }
})

describe('a process', () => {
  // The shell starts a child that ends at once, and then becomes a program that never reaps it.
  const parent = spawn('/bin/sh', ['-c', '/bin/true & exec sleep 61.5'])
  const pid = Number(parent.pid)

  beforeAll(() =>
    vi.waitUntil(async () => (await readFile(`/proc/${pid}/cmdline`, 'utf8')).startsWith('sleep'), {
      timeout: 10_000,
    }),
  )
  afterAll(async () => {
    parent.kill('SIGKILL')
    await once(parent, 'exit')
  })

  it('is known by its start time and program as well', async () => {
    const identity = await identify(pid)
    expect(identity).toMatchObject({ pid, executable: expect.stringMatching(/\/(sleep|coreutils|busybox)$/) })
    if (identity === null) throw new Error('not found')
    expect(await isStillRunning(identity)).toBe(true)
    expect(await isStillRunning({ ...identity, startTime: '1' })).toBe(false)
    expect(await findByArguments(['61.5'])).toEqual([identity])
    expect(await findByArguments(['1.5'])).toEqual([])
  })

  it('is dead when it is only waiting to be reaped', async () => {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
    const zombie = Number(children.trim())
    const state = async (): Promise<string> => parseStat(await readFile(`/proc/${zombie}/stat`, 'utf8')).state
    await expect.poll(state, { timeout: 10_000 }).toBe('Z')
    expect(await identify(zombie)).toBeNull()
    const { startTime } = parseStat(await readFile(`/proc/${zombie}/stat`, 'utf8'))
    expect(await isStillRunning({ pid: zombie, startTime, bootId: '', executable: '' })).toBe(false)
  })

  it('that does not exist is none', async () => {
    expect(await identify(2 ** 30)).toBeNull()
  })
})
