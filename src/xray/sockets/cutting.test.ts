import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { openAccessPipe } from './access-pipe.ts'
import { openCutting } from './cutting.ts'

let dir: string
let path: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cutting-'))
  path = join(dir, 'access.pipe')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const open = (isWanted: boolean) =>
  openCutting({ path, isWanted, onSeen: () => undefined, runtime: systemRuntime(), log: silentLog() })
/** Opens it as Xray does, but for that it would wait for a reader where this fails. */
const openAsXray = (): void => closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK))

it('where it is not wanted nothing is recorded, and nothing made', async () => {
  const cutting = await open(false)
  expect(cutting).toMatchObject({ sockets: null, accessLog: null })
  expect(existsSync(path)).toBe(false)
  cutting.close()
})

it('a pipe of an earlier life has a reader all the same: an older configuration may name it', async () => {
  const earlier = await openAccessPipe(path, () => undefined)
  earlier.close()
  await vi.waitFor(() => expect(openAsXray).toThrow('ENXIO'))
  const cutting = await open(false)
  expect(cutting.accessLog).toBeNull()
  openAsXray()
  cutting.close()
})

it('where it is wanted it works, or nothing is recorded', async () => {
  const cutting = await open(true)
  expect(cutting.accessLog).toBe(cutting.sockets === null ? null : path)
  expect(existsSync(path)).toBe(cutting.sockets !== null)
  cutting.close()
})

it('where no pipe can be made, connections are let stand', async () => {
  path = join(dir, 'none\0', 'access.pipe')
  expect(await open(true)).toMatchObject({ sockets: null, accessLog: null })
})
