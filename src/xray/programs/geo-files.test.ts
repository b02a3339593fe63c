import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { geoip, geosite, publish, sha256 } from '#test/support/geo-data.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import type { Download } from './download.ts'
import { geoCodes } from './geo-codes.ts'
import { type GeoUpdate, fetchGeoFiles, geoFileHash, geoFilesIn, tidyGeoFiles } from './geo-files.ts'
import { testConfig } from '../config/validate.ts'

let dir: string
let folder: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'geo-'))
  folder = join(dir, 'assets')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Has the real Xray read a configuration with the files of a folder. */
const loads = (config: object, assets: string): Promise<void> => testConfig(xrayBinary(), config, assets)

const routing = (ip: string[], domain: string[] = []): object => ({
  outbounds: [{ protocol: 'freedom', tag: 'direct' }],
  routing: {
    rules: [
      { ip, outboundTag: 'direct' },
      ...(domain.length === 0 ? [] : [{ domain, outboundTag: 'direct' }]),
    ],
  },
})

const fetchWith = (download: Download, config: object = {}): Promise<GeoUpdate> =>
  fetchGeoFiles({ folder, download, config, test: loads })

async function update(download: Download, config?: object): Promise<GeoUpdate['files']> {
  const fetched = await fetchWith(download, config)
  await fetched.swapIn()
  await fetched.discard()
  return fetched.files
}

const there = (): Record<string, Buffer> =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))

const [ip, site] = [geoip('CN', 'PRIVATE'), geosite('CN', 'ADS')]

describe('geo files', () => {
  test('are fetched, and Xray then finds them where they were put', async () => {
    const uses = routing(['geoip:private'], ['geosite:ads'])
    mkdirSync(folder)
    await expect(loads(uses, folder)).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    expect(await update(publish(ip, site).download)).toEqual([
      { name: 'geoip.dat', status: 'updated', size: ip.length, sha256: sha256(ip) },
      { name: 'geosite.dat', status: 'updated', size: site.length, sha256: sha256(site) },
    ])
    expect(there()).toEqual({ 'geoip.dat': ip, 'geosite.dat': site })
    await loads(uses, folder)
    expect(await geoFileHash(folder, 'geoip.dat')).toBe(sha256(ip))
  })

  test('that are the published ones are not fetched again', async () => {
    await update(publish(ip, site).download)
    const { download, asked } = publish(ip, site)
    expect((await update(download)).map(({ status }) => status)).toEqual(['unchanged', 'unchanged'])
    expect(asked.toSorted()).toEqual(['geoip.dat.sha256sum', 'geosite.dat.sha256sum'])
    expect(Object.keys(there())).toEqual(['geoip.dat', 'geosite.dat'])
  })

  test('are changed one by one, and the one before is kept', async () => {
    await update(publish(ip, site).download)
    const newer = geoip('CN', 'PRIVATE', 'RU')
    const { download, asked } = publish(newer, site)
    const files = await update(download, routing(['geoip:ru'], ['geosite:cn']))
    expect(files.map(({ status }) => status)).toEqual(['updated', 'unchanged'])
    expect(asked).not.toContain('geosite.dat')
    expect(there()).toEqual({ 'geoip.dat': newer, 'geoip.dat.old': ip, 'geosite.dat': site })
    const newest = geoip('CN', 'PRIVATE', 'RU', 'US')
    await update(publish(newest, site).download)
    expect(there()).toEqual({ 'geoip.dat': newest, 'geoip.dat.old': newer, 'geosite.dat': site })
  })

  test.each<[string, Buffer, object, RegExp]>([
    ['hold no lists', Buffer.from('<html>'), {}, /no file of lists/],
    ['are empty', Buffer.alloc(0), {}, /empty/],
    ['are cut off', geoip('CN', 'PRIVATE').subarray(0, -3), {}, /cut off/],
    // Xray takes the length of a name for one byte.
    ['Xray itself cannot read', geoip('CN', 'x'.repeat(200)), {}, /geoip/],
    ['lack what is used', geoip('CN'), routing(['geoip:private']), /PRIVATE/],
  ])(
    'that Xray does not load, since they %s, do not take the place of any',
    async (_, bad, config, reason) => {
      await update(publish(ip, site).download)
      await expect(fetchWith(publish(bad, site).download, config)).rejects.toMatchObject({
        code: 'GEO_FILES_REFUSED',
        message: expect.stringMatching(reason) as string,
      })
      expect(there()).toEqual({ 'geoip.dat': ip, 'geosite.dat': site })
    },
  )

  test('that cannot be fetched, or are not the published ones, leave all as it was', async () => {
    await update(publish(ip, site).download)
    const other = publish(geoip('CN', 'X'), site).download
    const failing: [Download, RegExp][] = [
      [() => Promise.reject(new Error('no route to host')), /geo(ip|site)\.dat: no route to host/],
      [async (url) => (url.endsWith('geoip.dat') ? Buffer.from('damaged') : other(url)), /published SHA-256/],
      [async (url) => (url.endsWith('sum') ? Buffer.from('<html>') : other(url)), /no SHA-256 is published/],
    ]
    for (const [download, reason] of failing) {
      await expect(fetchWith(download)).rejects.toMatchObject({
        code: 'DOWNLOAD_FAILED',
        message: expect.stringMatching(reason) as string,
      })
      expect(there()).toEqual({ 'geoip.dat': ip, 'geosite.dat': site })
    }
  })

  test('whose release comes out between checksum and file are fetched once more', async () => {
    const before = publish(geoip('OLD'), site)
    const after = publish(ip, site)
    let isOut = false
    const files = await update(async (url) => {
      const answer = await (isOut ? after : before).download(url)
      if (url.endsWith('geoip.dat.sha256sum')) isOut = true
      return answer
    })
    expect(files[0]?.sha256).toBe(sha256(ip))
  })

  test('cannot go where nothing can be written', async () => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    folder = join(file, 'assets')
    await expect(fetchWith(publish(ip, site).download)).rejects.toMatchObject({
      code: 'GEO_FILES_REFUSED',
      message: expect.stringMatching(/cannot be written to \(ENOTDIR/) as string,
    })
  })

  test('of an update that was cut short are whole, and what is left of it goes', async () => {
    await update(publish(ip, site).download)
    writeFileSync(join(folder, 'mine.dat'), '')
    const newer = geosite('CN', 'ADS', 'MORE')
    await (await fetchWith(publish(ip, newer).download)).swapIn()
    expect(readdirSync(folder)).toContainEqual(expect.stringMatching(/^fleetgram-new-/))
    await tidyGeoFiles(folder)
    expect(there()).toEqual({
      'geoip.dat': ip,
      'geosite.dat': newer,
      'geosite.dat.old': site,
      'mine.dat': Buffer.alloc(0),
    })
  })
})

test.each<[object, string[]]>([
  [routing(['10.0.0.0/8', '::1']), []],
  [routing(['geoip:cn']), ['geoip.dat']],
  [routing(['1.1.1.1'], ['geosite:geolocation-!cn']), ['geosite.dat']],
  [routing(['ext:geoip.dat:cn', '!geoip:ru'], ['ext-domain:geosite.dat:ads']), ['geoip.dat', 'geosite.dat']],
  [
    { dns: { servers: [{ domains: ['geosite:cn'], expectIPs: ['geoip:cn'] }] } },
    ['geoip.dat', 'geosite.dat'],
  ],
  [{ inbounds: [{ tag: 'geoip' }, { tag: 'my geosite: list' }] }, []],
])('%j needs %j', (config, files) => {
  expect(geoFilesIn(config)).toEqual(files)
})

test('the names of the lists of a file are read from it, long ones and short', () => {
  const codes = ['A', 'GEOLOCATION-!CN', 'x'.repeat(300)]
  expect(geoCodes(geosite(...codes))).toEqual(codes)
})
