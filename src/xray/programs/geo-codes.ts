// Of protobuf (protobuf.dev/programming-guides/encoding) no more than these two kinds of field occur here.
const firstField = 0x0a

/**
 * The names of the lists in geoip.dat or geosite.dat, such as `CN`. Both are a row of messages, each beginning with its
 * name.
 * @throws Error when the bytes are no such file
 */
export function geoCodes(file: Buffer): string[] {
  const codes: string[] = []
  for (let at = 0; at < file.length;) {
    const entry = field(file, at)
    const name = field(entry.content, 0)
    codes.push(name.content.toString('utf8'))
    at = entry.end
  }
  if (codes.length === 0) throw new Error('the file is empty')
  return codes
}

function field(bytes: Buffer, at: number): { content: Buffer; end: number } {
  if (bytes[at] !== firstField) throw new Error('this is no file of lists')
  let [length, shift, begin] = [0, 0, at + 1]
  for (;;) {
    const byte = bytes[begin++]
    if (byte === undefined || shift > 28) throw new Error('the file is damaged')
    length += (byte & 0x7f) * 2 ** shift
    shift += 7
    if (byte < 0x80) break
  }
  const end = begin + length
  if (end > bytes.length) throw new Error('the file is cut off')
  return { content: bytes.subarray(begin, end), end }
}

/** A configuration that makes Xray load these lists, and does nothing else. */
export function geoProbe(codes: { geoip: readonly string[]; geosite: readonly string[] }): object {
  return {
    outbounds: [{ tag: 'direct', protocol: 'freedom' }],
    routing: {
      rules: [
        { ip: codes.geoip.map((code) => `geoip:${code}`), outboundTag: 'direct' },
        { domain: codes.geosite.map((code) => `geosite:${code}`), outboundTag: 'direct' },
      ],
    },
  }
}
