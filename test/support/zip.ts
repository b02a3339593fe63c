import { crc32, deflateRawSync } from 'node:zlib'

/** A zip archive of one file, as PKWARE's APPNOTE has it. A large file is stored as it is: packing takes seconds. */
export function zip(name: string, content: Buffer, damage = 0): Buffer {
  const isLarge = content.length > 1_000_000
  const packed = isLarge ? content : deflateRawSync(content)
  const fields = Buffer.alloc(26)
  fields.writeUInt16LE(20, 0)
  fields.writeUInt16LE(isLarge ? 0 : 8, 4)
  fields.writeUInt32LE((crc32(content) ^ damage) >>> 0, 10)
  fields.writeUInt32LE(packed.length, 14)
  fields.writeUInt32LE(content.length, 18)
  fields.writeUInt16LE(name.length, 22)
  const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), fields, Buffer.from(name), packed])
  const entry = Buffer.concat([
    Buffer.from('PK\x01\x02\x14\x00', 'latin1'),
    fields,
    Buffer.alloc(14),
    Buffer.from(name),
  ])
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(entry.length, 12)
  end.writeUInt32LE(local.length, 16)
  return Buffer.concat([local, entry, end])
}
