import { createHash } from 'node:crypto'
import { arch, platform } from 'node:process'
import type { Download } from './download.ts'
import { unzipFile } from './unzip.ts'

// The official builds, by the names Node gives to processors.
const archives: Partial<Record<string, string>> = {
  x64: 'Xray-linux-64.zip',
  arm64: 'Xray-linux-arm64-v8a.zip',
}

/**
 * The Xray binary of an official release, its archive verified against the SHA-256 that is published beside it. That
 * shows a damaged or cut-off download; who published it is shown by HTTPS alone.
 */
export async function downloadRelease(version: string, download: Download): Promise<Buffer> {
  const name = platform === 'linux' ? archives[arch] : undefined
  if (name === undefined) throw new Error(`there is no official build for ${platform} ${arch}`)
  const url = `https://github.com/XTLS/Xray-core/releases/download/v${version}/${name}`
  const digests = (await download(`${url}.dgst`)).toString('utf8')
  const expected = /^SHA(?:2-)?256=\s*([0-9a-f]{64})\s*$/im.exec(digests)?.[1]
  if (expected === undefined) throw new Error('the release names no SHA-256 of its archive')
  const archive = await download(url)
  const actual = createHash('sha256').update(archive).digest('hex')
  if (actual !== expected.toLowerCase()) throw new Error('the archive does not have the published SHA-256')
  return unzipFile(archive, 'xray')
}
