import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { openCertificateDesk } from '#test/support/certificate-desk.ts'
import { type Pebble, startPebble } from '#test/support/pebble.ts'

const domain = 'killed.example.org'
const entry = join(import.meta.dirname, '../../../test/support/own-certificates.ts')

let pebble: Pebble
let dir: string
let child: ChildProcess | undefined
beforeAll(async () => {
  pebble = await startPebble()
})
afterAll(() => pebble.remove())
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'killed-'))
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await rm(dir, { recursive: true, force: true })
})

it('a node killed while it orders has nothing half, and gets the certificate when it is asked again', async () => {
  const idempotencyKey = randomUUID()
  const release = pebble.dns.hold()
  const mine = spawn(
    process.execPath,
    [entry, dir, JSON.stringify(pebble.settings), domain, idempotencyKey],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  child = mine
  let said = ''
  mine.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  // It has told the authority to look, which is doing so.
  await expect.poll(() => pebble.dns.asked, { timeout: 20_000 }).toContain(domain)
  const ended = once(mine, 'exit')
  mine.kill('SIGKILL')
  await ended
  release()
  expect(said).toBe('ordering\n')

  const desk = await openCertificateDesk({ dir, acme: pebble.settings })
  try {
    expect(await desk.operations['certificates.list'](undefined, {})).toEqual([])
    expect(desk.db.prepare('select count(*) from applied_tasks').pluck().get()).toBe(0)
    expect(await readdir(join(dir, 'certs')).catch(() => [])).toEqual([])
    const given = await desk.operations['certificates.generate'](
      { domain, method: 'http-01' },
      { idempotencyKey },
    )
    expect(given).toMatchObject({ domain, kind: 'acme' })
    expect(await desk.fileOf(domain)).toContain('PRIVATE KEY')
  } finally {
    await desk.close()
  }
})
