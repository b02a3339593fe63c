/** One part of a multipart/form-data body; `fileName` is set for file parts only. */
export interface Part {
  name: string
  fileName: string | undefined
  bytes: Buffer
}

/**
 * Splits a multipart/form-data body (RFC 7578). Header names are matched in any case and the file name may stand
 * without quotes, because that is how grammY writes its parts (and why undici's stricter parser rejects them).
 * Throws an Error when the body is not terminated or a part has no name.
 */
export function parseMultipart(body: Buffer, boundary: string): Part[] {
  const delimiter = Buffer.from(`--${boundary}`)
  const parts: Part[] = []
  let at = body.indexOf(delimiter)
  if (at !== 0) throw new Error('multipart body does not begin with its boundary')
  for (;;) {
    at += delimiter.length
    if (body.subarray(at, at + 2).toString('latin1') === '--') return parts
    if (body.subarray(at, at + 2).toString('latin1') !== '\r\n')
      throw new Error('malformed multipart boundary')
    const headersEnd = body.indexOf('\r\n\r\n', at)
    if (headersEnd === -1) throw new Error('multipart part without headers')
    const next = body.indexOf(Buffer.concat([Buffer.from('\r\n'), delimiter]), headersEnd + 2)
    if (next === -1) throw new Error('multipart body is not terminated')
    const headers = body.subarray(at + 2, headersEnd).toString('utf8')
    // An empty part ends where its headers end: its closing CRLF is the blank line's.
    parts.push({ ...readDisposition(headers), bytes: body.subarray(Math.min(headersEnd + 4, next), next) })
    at = next + 2
  }
}

function readDisposition(headers: string): { name: string; fileName: string | undefined } {
  const line = headers.split('\r\n').find((header) => /^content-disposition:/i.test(header))
  const name = line === undefined ? undefined : readParameter(line, 'name')
  if (line === undefined || name === undefined) throw new Error('multipart part without a name')
  return { name, fileName: readParameter(line, 'filename') }
}

function readParameter(line: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^;]*))`, 'i').exec(line)
  return match === null ? undefined : (match[1] ?? match[2]?.trim())
}

/** The boundary named by a Content-Type header, undefined when it is not multipart/form-data. */
export function boundaryOf(contentType: string): string | undefined {
  const match = /^multipart\/form-data\s*;.*\bboundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
  return match === null ? undefined : (match[1] ?? match[2])
}
