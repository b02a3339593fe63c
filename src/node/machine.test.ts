import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMachine, parseCpu, parseMemory, parseNetwork, tail } from './machine.ts'

describe('what /proc tells', () => {
  test('the processor: waiting for a disk is idle, a stolen tick is busy, guests are in user already', () => {
    //             user nice system idle iowait irq softirq steal guest guest_nice
    const stat = `cpu  100 10 50 800 40 3 7 5 60 1
cpu0 50 5 25 400 20 1 4 2 30 0
intr 12345 0 9
ctxt 99
`
    expect(parseCpu(stat)).toEqual({ busy: 175, total: 1_015 })
  })

  test('the processor, by a kernel that knows fewer kinds of time', () => {
    expect(parseCpu('cpu  100 0 50 850\n')).toEqual({ busy: 150, total: 1_000 })
  })

  test('memory: what could be had without swapping is free', () => {
    const meminfo = `MemTotal:        2000 kB
MemFree:          100 kB
MemAvailable:    1500 kB
Buffers:           50 kB
SwapCached:         7 kB
SwapTotal:       1000 kB
SwapFree:         250 kB
`
    expect(parseMemory(meminfo)).toEqual({
      memory: { total: 2_000 * 1024, used: 500 * 1024 },
      swap: { total: 1_000 * 1024, used: 750 * 1024 },
    })
  })

  test('memory without swap', () => {
    const { swap } = parseMemory(
      'MemTotal: 2000 kB\nMemAvailable: 1500 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n',
    )
    expect(swap).toEqual({ total: 0, used: 0 })
  })

  test('the network: every interface but loopback, also where a large number touches the name', () => {
    const dev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0: 1000 10 0 0 0 0 0 0 200 2 0 0 0 0 0 0
wlan0:9007199254740 10 0 0 0 0 0 0 30 2 0 0 0 0 0 0
`
    expect(parseNetwork(dev)).toEqual({ received: 9_007_199_255_740, sent: 230 })
  })

  test('of this machine makes sense', async () => {
    const machine = createMachine(tmpdir(), () => Promise.resolve())
    for (const stats of [await machine.stats(), await machine.stats()]) {
      expect(stats.cpu).toBeGreaterThanOrEqual(0)
      expect(stats.cpu).toBeLessThanOrEqual(100)
      expect(stats.cores).toBeGreaterThan(0)
      expect(stats.memory.used).toBeGreaterThan(0)
      expect(stats.memory.used).toBeLessThan(stats.memory.total)
      expect(stats.disk.used).toBeLessThanOrEqual(stats.disk.total)
      expect(stats.uptime).toBeGreaterThan(0)
    }
  })
})

describe('the end of a log', () => {
  let dir: string
  let file: string

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'machine-'))
    file = join(dir, 'error.log')
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  test('is its last lines, oldest first', async () => {
    writeFileSync(file, 'one\ntwo\nthree\n')
    expect(await tail(file, 2)).toEqual(['two', 'three'])
    expect(await tail(file, 10)).toEqual(['one', 'two', 'three'])
  })

  test('has also the line that is being written', async () => {
    writeFileSync(file, 'one\ntwo\nthr')
    expect(await tail(file, 2)).toEqual(['two', 'thr'])
  })

  test('of a large file begins with a whole line', async () => {
    const line = 'x'.repeat(99)
    writeFileSync(file, `${line}\n`.repeat(20_000))
    const lines = await tail(file, 100_000)
    expect(lines.length).toBeGreaterThan(5_000)
    expect(new Set(lines)).toEqual(new Set([line]))
  })

  test('is empty where there is none', async () => {
    expect(await tail(file, 10)).toEqual([])
    writeFileSync(file, '')
    expect(await tail(file, 10)).toEqual([])
  })
})
