import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { operationNames } from '#src/contract/index.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { createContractHandler } from './http.ts'

const reached: { name: string; key: string | undefined }[] = []
const logged: { details: object; message: string }[] = []
const operations = Object.fromEntries(
  operationNames().map((name) => [
    name,
    async (_input: unknown, call: { idempotencyKey?: string }) => {
      reached.push({ name, key: call.idempotencyKey })
      if (name === 'traffic.total') throw new Error('boom', { cause: new Error('the disk is full') })
      if (name === 'clients.delete') return { email: 'anna' }
      return []
    },
  ]),
) as unknown as NodeOperations

let server: Server
let port: number
beforeAll(async () => {
  const write = (details: object, message: string): void => {
    logged.push({ details, message })
  }
  const log = { debug: write, info: write, warn: write, error: write }
  server = createServer(createContractHandler(operations, { log }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  reached.length = 0
  logged.length = 0
})

interface Reply {
  status: number
  body: { code?: string; message?: string; data?: { retryable: boolean; details: object; trace: string } }
}

function send(
  method: string,
  path: string,
  options: { body?: string; headers?: Record<string, string> } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: '127.0.0.1', port, method, path, headers: options.headers },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Reply['body'] }),
        )
      },
    )
    request.on('error', reject)
    request.end(options.body)
  })
}

const json = { 'content-type': 'application/json', 'idempotency-key': 'k1' }

describe('the contract over HTTP', () => {
  test('answers below /api/v1', async () => {
    expect(await send('GET', '/api/v1/inbounds')).toEqual({ status: 200, body: [] })
    expect(reached).toEqual([{ name: 'inbounds.list', key: undefined }])
  })

  test.each([
    '/',
    '/inbounds',
    '/api/v1',
    '/api/v1/',
    '/api/v2/inbounds',
    '/api/v1/nothing',
    '/api/v1//inbounds/x/y',
  ])('knows nothing at %s', async (path) => {
    const { status, body } = await send('GET', path)
    expect({ status, code: body.code }).toEqual({ status: 404, code: 'NOT_FOUND' })
    expect(reached).toEqual([])
  })

  test('takes the key from its header', async () => {
    await send('DELETE', '/api/v1/clients/anna', { headers: json })
    expect(reached).toEqual([{ name: 'clients.delete', key: 'k1' }])
  })

  test('refuses a change without a key, and a key that is none', async () => {
    expect(await send('DELETE', '/api/v1/clients/anna')).toMatchObject({
      status: 400,
      body: { code: 'IDEMPOTENCY_KEY_REQUIRED' },
    })
    for (const key of ['', ' ', 'a b', 'x'.repeat(129)]) {
      const headers = { 'idempotency-key': key }
      expect(await send('DELETE', '/api/v1/clients/anna', { headers })).toMatchObject({
        status: 400,
        body: { code: 'BAD_INPUT', data: { details: { field: 'Idempotency-Key' } } },
      })
    }
    expect(reached).toEqual([])
  })

  test.each([
    ['{', 'not JSON'],
    ['[]', 'an object is wanted'],
    ['"x"', 'an object is wanted'],
    ['null', 'an object is wanted'],
  ])('refuses the body %s', async (body, reason) => {
    expect(await send('POST', '/api/v1/inbounds', { body, headers: json })).toMatchObject({
      status: 400,
      body: { code: 'BAD_INPUT', data: { retryable: false, details: { field: 'body', reason } } },
    })
  })

  test('refuses another kind of body', async () => {
    const headers = { ...json, 'content-type': 'application/x-www-form-urlencoded' }
    expect(await send('POST', '/api/v1/inbounds', { body: 'tag=a', headers })).toMatchObject({
      status: 400,
      body: { code: 'BAD_INPUT' },
    })
  })

  test('names the field that is wrong or unknown', async () => {
    const body = JSON.stringify({ email: 'x', comment: 5 })
    expect(await send('PATCH', '/api/v1/clients/x', { body, headers: json })).toMatchObject({
      body: { code: 'BAD_INPUT', data: { details: { field: 'comment' } } },
    })
    const unknown = JSON.stringify({ shell: 'rm' })
    const { body: refusal } = await send('PATCH', '/api/v1/clients/x', { body: unknown, headers: json })
    expect(refusal).toMatchObject({ code: 'BAD_INPUT' })
    expect(refusal.message).toContain('shell')
    expect(reached).toEqual([])
  })

  test('refuses a body over 16 MiB, said or sent', async () => {
    const said = { ...json, 'content-length': String(16 * 1024 * 1024 + 1), expect: '100-continue' }
    const early = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(
        { host: '127.0.0.1', port, method: 'POST', path: '/api/v1/inbounds', headers: said },
        (response) => {
          resolve(response.statusCode ?? 0)
          request.destroy()
        },
      )
      request.on('error', reject)
      request.flushHeaders()
    })
    expect(early).toBe(413)

    // Chunked, so that no length is said: counted as it comes.
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text.includes('PAYLOAD_TOO_LARGE')) {
          resolve(text)
          socket.destroy()
        }
      })
      socket.on('error', reject)
      socket.write(
        'POST /api/v1/inbounds HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
      )
      const mebibyte = Buffer.alloc(1024 * 1024, ' ')
      for (let sent = 0; sent <= 16; sent++) {
        socket.write(`${mebibyte.length.toString(16)}\r\n`)
        socket.write(mebibyte)
        socket.write('\r\n')
      }
    })
    expect(answer).toMatch(/^HTTP\/1.1 413 /)
    expect(reached).toEqual([])
  })

  test('takes a file only with its parameters in front, and gives one only to whoever may open it', async () => {
    const framed = (parameters: string, length = parameters.length): string =>
      String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255) +
      parameters
    const restore = async (body: string, headers: Record<string, string> = { 'idempotency-key': 'k1' }) => {
      const { status, body: answer } = await send('POST', '/api/v1/restore', { body, headers })
      return { status, code: answer.code, ...answer.data?.details }
    }
    const field = 'body'
    expect(await restore('')).toMatchObject({ status: 400, code: 'BAD_INPUT', field })
    expect(await restore(framed('{'))).toMatchObject({ status: 400, code: 'BAD_INPUT', field })
    expect(await restore(framed('{}'))).toMatchObject({ code: 'BAD_INPUT', field: 'passphrase' })
    expect(await restore(framed('{"passphrase":"12345678","x":1}'))).toMatchObject({ code: 'BAD_INPUT' })
    expect(await restore(framed('{}', 0x7f000000))).toMatchObject({ status: 413, code: 'PAYLOAD_TOO_LARGE' })
    expect(await restore(framed('{"passphrase":"12345678"}'), {})).toMatchObject({
      status: 400,
      code: 'IDEMPOTENCY_KEY_REQUIRED',
    })
    expect(await send('POST', '/api/v1/backup', { headers: json })).toMatchObject({
      status: 400,
      body: { code: 'BAD_INPUT', data: { details: { field: 'passphrase' } } },
    })
    for (const [method, path] of [
      ['GET', '/api/v1/backup?passphrase=12345678'],
      ['GET', '/api/v1/restore'],
      ['POST', '/backup'],
    ] as const)
      expect((await send(method, path)).status).toBe(404)
    expect(reached).toEqual([])
    expect(JSON.stringify(logged)).not.toContain('12345678')
  })

  test('what nobody foresaw is logged once, with its cause, under the trace in the answer', async () => {
    const { status, body } = await send('GET', '/api/v1/traffic')
    expect({ status, code: body.code }).toEqual({ status: 500, code: 'INTERNAL' })
    expect(JSON.stringify(body)).not.toContain('boom')
    expect(logged).toHaveLength(1)
    expect(logged[0]?.details).toMatchObject({ trace: body.data?.trace, request: 'GET /api/v1/traffic' })
    expect(JSON.stringify(logged[0])).toContain('the disk is full')
  })

  test('a refusal is in the log under the trace in the answer, without the query', async () => {
    const { body } = await send('GET', '/api/v1/logs?source=secret')
    expect(body.code).toBe('BAD_INPUT')
    expect(logged).toMatchObject([{ details: { trace: body.data?.trace, code: 'BAD_INPUT' } }])
    expect(JSON.stringify(logged)).not.toContain('source=secret')
  })
})
