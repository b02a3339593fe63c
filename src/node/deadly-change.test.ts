/** A real Xray that ends while it is told of a change, and one that ended just before. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { XrayParts } from '#src/node/engine/xray-parts.ts'
import { findByArguments } from '#src/xray/life/proc.ts'
import { xrayArguments } from '#src/xray/life/process.ts'
import { parseXrayName } from '#src/xray/config/user-name.ts'
import { freePort } from '#test/support/client-process.ts'
import { person, plainInput } from '#test/support/inputs.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'

let it: TestNode
let parts: XrayParts
/** What Xray ends of, and how often it was opened. */
let deadly: string | null
let opened: number
let folder: string
const call = (idempotencyKey: string = randomUUID()) => ({ idempotencyKey })

function end(): void {
  const { pid } = parts.process.state()
  if (pid !== null) process.kill(pid, 'SIGKILL')
}

beforeEach(async () => {
  deadly = null
  opened = 0
  folder = await mkdtemp(join(tmpdir(), 'deadly-'))
  // Of an inbound of this name Xray ends at its start, too.
  const binary = join(folder, 'xray')
  const isDeadly = `[ "$1 $2" = 'run -c' ] && grep -q '"deadly"' "$3"`
  const script = `#!/bin/sh\nif ${isDeadly}; then echo 'panic: no' >&2; exit 2; fi\nexec '${xrayBinary()}' "$@"\n`
  await writeFile(binary, script, { mode: 0o755 })
  it = await startTestNode({
    binary,
    through(real) {
      parts = real
      return {
        ...real,
        async openInbound(inbound) {
          if (inbound.tag === deadly) {
            opened++
            end()
          }
          return real.openInbound(inbound)
        },
      }
    },
  })
  await it.node.operations['inbounds.add'](plainInput('main', await freePort()), call())
}, 30_000)

afterEach(async () => {
  await it.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Xray runs again, and the node's own connection to it has found it. */
const comesBack = () =>
  expect
    .poll(
      () =>
        parts.api.uptime().then(
          () => parts.process.state().running,
          () => false,
        ),
      { timeout: 10_000 },
    )
    .toBe(true)

test('an Xray that ends of a change: that is taken back, refused for good, and what served serves', async () => {
  deadly = 'second'
  const { operations } = it.node
  const second = plainInput('second', await freePort())
  const refused = { code: 'XRAY_REFUSED', message: expect.stringContaining('ended by SIGKILL') }
  await expect(operations['inbounds.add'](second, call('k1'))).rejects.toMatchObject(refused)
  deadly = null
  await expect(operations['inbounds.add'](second, call('k1'))).rejects.toMatchObject(refused)
  expect((await operations['inbounds.list'](undefined, {})).map(({ tag }) => tag)).toEqual(['main'])
  await comesBack()
  expect((await parts.api.inboundTags()).toSorted()).toEqual(['api', 'main'])
  await operations['inbounds.add'](second, call('k2'))
  expect((await parts.api.inboundTags()).toSorted()).toEqual(['api', 'main', 'second'])
}, 30_000)

test('an Xray that has ended unnoticed is not taken for one that ends of a change', async () => {
  // Taken over it is no child of ours: nobody tells of its end.
  await it.restart()
  end()
  const args = xrayArguments(join(it.dir, 'xray'))
  await expect.poll(() => findByArguments(args), { interval: 5 }).toEqual([])
  await it.node.operations['clients.add']({ id: 'main', clients: [person('anna')] }, call())
  await comesBack()
  const users = await parts.api.users('main')
  expect(users.map(({ email }) => parseXrayName(email)?.email)).toEqual(['anna'])
}, 30_000)

test('an inbound that Xray ends of, come with a database put back, is opened once and left out from then on', async () => {
  deadly = 'deadly'
  const port = await freePort()
  await it.restart((rows) => {
    const main = rows.inboundByTag('main')
    const row = main === undefined ? undefined : rows.inbound(main.id)
    if (row !== undefined) rows.saveInbound({ ...row, id: row.id + 1_000, tag: 'deadly', port })
  })
  await expect
    .poll(() => parts.process.state(), { timeout: 15_000 })
    .toMatchObject({ running: true, onPreviousConfig: false, heldBack: [{ tag: 'deadly' }] })
  const { startedAt, lastError } = parts.process.state()
  expect(lastError).toContain('the inbound deadly is closed: Xray ended')
  await it.node.operations['clients.add']({ id: 'main', clients: [person('anna')] }, call())
  expect((await parts.api.inboundTags()).toSorted()).toEqual(['api', 'main'])
  expect(await parts.api.users('main')).toHaveLength(1)
  expect(parts.process.state().startedAt).toBe(startedAt)
  expect(opened).toBe(1)
}, 40_000)
