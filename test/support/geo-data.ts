import { createHash } from 'node:crypto'
import type { Download } from '#src/xray/programs/download.ts'

/** A field of a protobuf message: its number, and bytes. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content])
}

function varint(value: number): Buffer {
  return value < 0x80
    ? Buffer.from([value])
    : Buffer.concat([Buffer.from([(value & 0x7f) | 0x80]), varint(Math.floor(value / 0x80))])
}

/** A geoip.dat with one network of IPv4 in each of these lists. */
export function geoip(...codes: string[]): Buffer {
  const cidr = Buffer.concat([field(1, Buffer.from([10, 0, 0, 0])), Buffer.from([2 << 3, 8])])
  return Buffer.concat(
    codes.map((code) => field(1, Buffer.concat([field(1, Buffer.from(code)), field(2, cidr)]))),
  )
}

/** A geosite.dat with one domain in each of these lists. */
export function geosite(...codes: string[]): Buffer {
  return geositeOf(Object.fromEntries(codes.map((code) => [code, 'example.com'])))
}

/** The same, the domain of each list being told. */
export function geositeOf(lists: Record<string, string>): Buffer {
  const entry = ([code, name]: [string, string]): Buffer => {
    const domain = Buffer.concat([Buffer.from([1 << 3, 2]), field(2, Buffer.from(name))])
    return field(1, Buffer.concat([field(1, Buffer.from(code)), field(2, domain)]))
  }
  return Buffer.concat(Object.entries(lists).map(entry))
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** What publishes these two files, and remembers what it was asked for: the ends of the addresses. */
export function publish(geoipFile: Buffer, geositeFile: Buffer): { download: Download; asked: string[] } {
  const files = new Map([
    ['geoip.dat', geoipFile],
    ['geosite.dat', geositeFile],
  ])
  const asked: string[] = []
  return {
    asked,
    download: async (url) => {
      const name = url.slice(url.lastIndexOf('/') + 1)
      asked.push(name)
      const file = files.get(name.replace('.sha256sum', ''))
      if (file === undefined || !url.startsWith('https://')) throw new Error('there is no such file')
      return name.endsWith('.sha256sum')
        ? Buffer.from(`${sha256(file)}  ${name.replace('.sha256sum', '')}\n`)
        : file
    },
  }
}
