import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundaryOf, parseMultipart } from './multipart.ts'

const BOUNDARY = '----------abc123'

function body(...parts: [headers: string, bytes: Uint8Array][]): Buffer {
  const pieces = parts.flatMap(([headers, bytes]) => [
    Buffer.from(`--${BOUNDARY}\r\n${headers}\r\n\r\n`),
    Buffer.from(bytes),
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)])
}

describe('parseMultipart', () => {
  it('reads parts as grammY writes them: no space, no quotes', () => {
    const sent = body(
      ['content-disposition:form-data;name="chat_id"', Buffer.from('7')],
      [
        'content-disposition:form-data;name="x1";filename=my qr.png\r\ncontent-type:image/png',
        Buffer.from([0, 13, 10, 255]),
      ],
    )
    expect(parseMultipart(sent, BOUNDARY)).toEqual([
      { name: 'chat_id', fileName: undefined, bytes: Buffer.from('7') },
      { name: 'x1', fileName: 'my qr.png', bytes: Buffer.from([0, 13, 10, 255]) },
    ])
  })

  it('keeps every byte of every part', () => {
    const part = fc
      .uint8Array({ maxLength: 64 })
      .filter((bytes) => !Buffer.from(bytes).includes(`--${BOUNDARY}`))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (contents) => {
        const sent = body(
          ...contents.map((bytes, at): [string, Uint8Array] => [
            `Content-Disposition: form-data; name="p${at}"`,
            bytes,
          ]),
        )
        expect(parseMultipart(sent, BOUNDARY).map(({ bytes }) => [...bytes])).toEqual(
          contents.map((bytes) => [...bytes]),
        )
      }),
    )
  })

  it('refuses what is cut off or has no name', () => {
    const whole = body(['content-disposition:form-data;name="a"', Buffer.from('1')])
    for (let length = 0; length < whole.length - 4; length++) {
      expect(() => parseMultipart(whole.subarray(0, length), BOUNDARY)).toThrow(/multipart/)
    }
    expect(() => parseMultipart(body(['content-type:text/plain', Buffer.from('1')]), BOUNDARY)).toThrow(
      'without a name',
    )
  })

  it('finds the boundary, quoted or not', () => {
    expect(boundaryOf('multipart/form-data; boundary=abc')).toBe('abc')
    expect(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"')).toBe('a b')
    expect(boundaryOf('application/json')).toBeUndefined()
  })
})
