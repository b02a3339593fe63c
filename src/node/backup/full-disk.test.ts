import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { toFleetError } from '#src/errors.ts'
import { backupOf, restoreTo } from '#test/support/backup-files.ts'
import { startPaperNode } from '#test/support/paper-node.ts'
import { mountSmallDisk } from '#test/support/small-disk.ts'

test('a disk that is full lets no backup be made or put back, and changes nothing', async (context) => {
  const disk = await mountSmallDisk(16)
  if (disk === undefined) return context.skip('mounting a small disk takes root')
  const it = await startPaperNode({ parent: disk.dir })
  try {
    await it.addInbound('main', 443)
    await it.addClients('main', ...Array.from({ length: 300 }, (_, n) => `client-${n}`))
    const file = await backupOf(it.node)
    await it.deleteClient('client-7')
    const state = () => it.node.operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
    const before = await state()
    const codeOf = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'done',
        (error: unknown) => toFleetError(error, '').code,
      )
    disk.fill()
    expect(await codeOf(restoreTo(it.node, file))).toBe('DISK_FULL')
    expect(await codeOf(backupOf(it.node))).toBe('DISK_FULL')
    disk.free()
    expect(await state()).toEqual(before)
    expect(readdirSync(join(it.dir, 'xray', 'backups'))).toEqual([])
    expect((await restoreTo(it.node, file)).clients).toMatchObject({ unchanged: 299, deleted: 1 })
  } finally {
    await it.stop()
    await disk.end()
  }
})
