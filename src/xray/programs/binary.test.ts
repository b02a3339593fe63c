import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '#test/support/silent-log.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { zip } from '#test/support/zip.ts'
import { findXray, pinnedXrayVersion } from './binary.ts'
import type { Download } from './download.ts'
import { xrayVersion } from './program.ts'
import { unzipFile } from './unzip.ts'

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** A program that says it is this version of Xray. */
const program = (version: string): Buffer => Buffer.from(`#!/bin/sh\necho "Xray ${version} (stand-in)"\n`)

describe('finding Xray', () => {
  let dir: string
  let cacheDir: string

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'find-xray-'))
    cacheDir = join(dir, 'cache')
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const unreachable: Download = () => Promise.reject(new Error('no route to host'))
  const find = (env: NodeJS.ProcessEnv, download: Download = unreachable): Promise<string> =>
    findXray({ env, cacheDir, log: silentLog(), download })

  const release = (archive: Buffer, digest = sha256(archive)): Download => {
    return (url) =>
      Promise.resolve(url.endsWith('.dgst') ? Buffer.from(`MD5= 0\nSHA2-256= ${digest}\n`) : archive)
  }

  const install = async (path: string, content: Buffer): Promise<void> => {
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, content)
    await chmod(path, 0o755)
  }

  it('takes what XRAY_BIN names, and nothing else', async () => {
    expect(await find({ XRAY_BIN: xrayBinary() })).toBe(xrayBinary())
    await expect(find({ XRAY_BIN: join(dir, 'missing') })).rejects.toMatchObject({ code: 'XRAY_NOT_FOUND' })
    await expect(find({ XRAY_BIN: dir })).rejects.toMatchObject({ code: 'XRAY_NOT_FOUND' })
  })

  it('takes the one on PATH before the one in the cache, and never one from a relative folder', async () => {
    const cached = join(cacheDir, `xray-${pinnedXrayVersion}`, 'xray')
    await install(cached, program(pinnedXrayVersion))
    expect(await find({ PATH: `.:${join(dir, 'empty')}` })).toBe(cached)
    await install(join(dir, 'bin', 'xray'), program(pinnedXrayVersion))
    expect(await find({ PATH: `.:${join(dir, 'bin')}` })).toBe(join(dir, 'bin', 'xray'))
  })

  it('fetches the release once, also when several ask at the same time', async () => {
    const archive = zip('xray', program(pinnedXrayVersion))
    const found = await Promise.all([1, 2, 3].map(() => find({ PATH: '' }, release(archive))))
    expect(new Set(found).size).toBe(1)
    expect(await xrayVersion(String(found[0]))).toBe(pinnedXrayVersion)
    expect(await readdir(join(cacheDir, `xray-${pinnedXrayVersion}`))).toEqual(['xray'])
    expect(await find({ PATH: '' })).toBe(found[0])
  })

  it('looks into every cache, and fetches into the first that can be written to', async () => {
    const archive = zip('xray', program(pinnedXrayVersion))
    const file = join(dir, 'file')
    await writeFile(file, '')
    // Nobody can make a folder beneath a file, not even root.
    const [closed, first, second] = [join(file, 'cache'), join(dir, 'first'), join(dir, 'second')]
    const findIn = (...cacheDirs: string[]): Promise<string> =>
      findXray({ env: { PATH: '' }, cacheDir: cacheDirs, log: silentLog(), download: release(archive) })

    const found = await findIn(closed, first, second)
    expect(found).toBe(join(first, `xray-${pinnedXrayVersion}`, 'xray'))
    await expect(readdir(second)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await findIn(second, first)).toBe(found)
    await expect(findIn(closed)).rejects.toMatchObject({
      code: 'XRAY_NOT_FOUND',
      message: expect.stringContaining('ENOTDIR') as string,
    })
  })

  it.each([
    ['another checksum', release(zip('xray', program(pinnedXrayVersion)), '0'.repeat(64)), 'SHA-256'],
    ['no checksum', release(zip('xray', program(pinnedXrayVersion)), 'none'), 'names no SHA-256'],
    ['another version', release(zip('xray', program('1.2.3'))), 'version 1.2.3'],
    ['no Xray inside', release(zip('readme', program(pinnedXrayVersion))), 'has no xray'],
    ['no network', unreachable, 'no route to host'],
  ])('keeps nothing of a release with %s', async (_, download, reason) => {
    await expect(find({ PATH: '' }, download)).rejects.toMatchObject({
      code: 'XRAY_NOT_FOUND',
      message: expect.stringContaining(reason),
    })
    expect(await readdir(join(cacheDir, `xray-${pinnedXrayVersion}`))).toEqual([])
  })

  it('builds it with Go when the release cannot be had', async () => {
    const go = join(dir, 'bin', 'go')
    // Stands in for the compiler: puts a program where Go would, under the name Go would give it.
    const built = program(pinnedXrayVersion).toString().replaceAll('"', '\\"')
    await install(
      go,
      Buffer.from(
        `#!/bin/sh\n[ "$1" = install ] || exit 1\nprintf "%s" "${built}" > "$GOBIN/main"\necho "$*" > "${dir}/asked"\n`,
      ),
    )
    const found = await find({ PATH: `${join(dir, 'bin')}` })
    expect(await xrayVersion(found)).toBe(pinnedXrayVersion)
    expect(await readFile(join(dir, 'asked'), 'utf8')).toMatch(
      /github\.com\/xtls\/xray-core\/main@v1\.260327\.0/,
    )
  })
})

it('knows the version of the real one, and that another program is none', async () => {
  expect(await xrayVersion(xrayBinary())).toMatch(/^\d+\.\d+\.\d+$/)
  await expect(xrayVersion('/bin/false')).rejects.toMatchObject({ code: 'XRAY_NOT_FOUND' })
})

it('refuses a damaged archive', () => {
  const content = program('1')
  expect(unzipFile(zip('xray', content), 'xray')).toEqual(content)
  expect(() => unzipFile(zip('xray', content, 1), 'xray')).toThrow('damaged')
  expect(() => unzipFile(Buffer.from('no archive at all, only words'), 'xray')).toThrow('no zip archive')
})
