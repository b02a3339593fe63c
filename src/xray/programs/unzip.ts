import { crc32, inflateRawSync } from 'node:zlib'

// Signatures and offsets from PKWARE's APPNOTE, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (its end).
const endSignature = 0x06054b50
const entrySignature = 0x02014b50
const localSignature = 0x04034b50
const endSize = 22
const entrySize = 46
const localSize = 30
const stored = 0
const deflated = 8

// Xray is 35 MB unpacked; a file that claims more than this is not it.
const maxUnpackedBytes = 256 * 1024 * 1024

/**
 * One file out of a zip archive held in memory, its checksum verified. Enough for a release archive: no encryption,
 * no zip64.
 * @throws Error when the archive is damaged or the file is not in it
 */
export function unzipFile(archive: Buffer, name: string): Buffer {
  const end = findEnd(archive)
  let at = archive.readUInt32LE(end + 16)
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    if (archive.readUInt32LE(at) !== entrySignature) throw new Error('the archive is damaged')
    const nameSize = archive.readUInt16LE(at + 28)
    if (archive.toString('utf8', at + entrySize, at + entrySize + nameSize) === name)
      return unpack(archive, at)
    at += entrySize + nameSize + archive.readUInt16LE(at + 30) + archive.readUInt16LE(at + 32)
  }
  throw new Error(`the archive has no ${name}`)
}

// It is the last record, but a comment may follow, so it is looked for from behind.
function findEnd(archive: Buffer): number {
  for (let at = archive.length - endSize; at >= 0; at--) {
    if (archive.readUInt32LE(at) === endSignature) return at
  }
  throw new Error('this is no zip archive')
}

function unpack(archive: Buffer, entry: number): Buffer {
  const method = archive.readUInt16LE(entry + 10)
  const checksum = archive.readUInt32LE(entry + 16)
  const packedSize = archive.readUInt32LE(entry + 20)
  const size = archive.readUInt32LE(entry + 24)
  const local = archive.readUInt32LE(entry + 42)
  if (archive.readUInt32LE(local) !== localSignature) throw new Error('the archive is damaged')
  if (size > maxUnpackedBytes) throw new Error('the file in the archive is too large')
  const start = local + localSize + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28)
  const packed = archive.subarray(start, start + packedSize)
  if (method !== stored && method !== deflated) throw new Error(`the archive is packed by method ${method}`)
  const file = method === stored ? packed : inflateRawSync(packed, { maxOutputLength: maxUnpackedBytes })
  if (file.length !== size || crc32(file) !== checksum) throw new Error('the file in the archive is damaged')
  return file
}
