import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type AddressInfo, connect as tcpConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer as createTlsServer } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Ca } from '#src/trust/ca.ts'
import { type ControllerTls, createControllerTls } from '#src/trust/controller-tls.ts'
import { readIdentity } from '#src/trust/agent-identity.ts'
import { joinController } from '#src/trust/join-client.ts'
import { createJoinToken, JOIN_TOKEN_LIFE_MS, parseJoinToken } from '#src/trust/join-tokens.ts'
import { spkiHash } from '#src/trust/peer.ts'
import { createFakeRuntime, type FakeRuntime } from '#test/support/fake-runtime.ts'
import { addServerRow, createTestFleetCa, newRequest, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { type Gateway, type Joined, startGateway } from './gateway.ts'

let runtime: FakeRuntime
let trust: TestFleetCa
let tls: ControllerTls
let gateway: Gateway
let folder: string
let joined: (Joined & { serverId: number })[]
let logged: string

beforeEach(async () => {
  runtime = createFakeRuntime({ now: Date.now() })
  trust = await createTestFleetCa({ runtime })
  addServerRow(trust.db, 5)
  folder = mkdtempSync(join(tmpdir(), 'fleetgram-join-'))
  joined = []
  logged = ''
  const write = (details: object, message: string): void => {
    logged += `${JSON.stringify(details)} ${message}\n`
  }
  tls = await createControllerTls({ ca: trust.ca, hosts: ['127.0.0.1'], runtime, onError: () => undefined })
  gateway = await startGateway({
    ...trust,
    listen: { host: '127.0.0.1', port: 0 },
    tls,
    runtime,
    log: { info: write, warn: write, error: write },
    onJoined: (serverId, details) => joined.push({ serverId, ...details }),
  })
})

afterEach(async () => {
  await gateway.close()
  tls.close()
  await trust.close()
  rmSync(folder, { recursive: true })
})

const code = (expected: string) => expect.objectContaining({ code: expected })

const newToken = (controllerAddress = gateway.address, ca: Pick<Ca, 'spkiHash'> = trust.ca) =>
  createJoinToken({ db: trust.db, runtime, ca, controllerAddress, serverId: 5 }).token

const joinWith = (token: string, more: { folder?: string; publicAddress?: string; port?: number } = {}) =>
  joinController({ token, folder, port: 9443, runtime, ...more })

const server = () =>
  trust.db.prepare('select endpoint, public_address from servers where id = 5').get() as {
    endpoint: string | null
    public_address: string | null
  }

function post(
  path: string,
  body: string | object,
  method = 'POST',
): Promise<{ status: number; body: { code?: string; serverId?: number } }> {
  return new Promise((resolve, reject) => {
    const { host, port } = gateway.address
    const request = httpsRequest(
      { host, port, path, method, agent: false, ca: trust.ca.certificatePem },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as object }),
        )
      },
    )
    request.on('error', reject)
    request.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
}

describe('joining', () => {
  test('gives a machine its identity, and the server its address', async () => {
    const token = newToken()
    const identity = await joinWith(token)
    expect(identity.serverId).toBe(5)
    const stored = readIdentity(folder)
    expect(stored).toMatchObject(identity)
    expect(statSync(join(folder, 'agent.key')).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder).toSorted()).toEqual(['agent.key', 'identity.json'])

    const certificate = new X509Certificate(identity.certificatePem)
    expect(certificate.subjectAltName).toBe('URI:fleetgram://server/5')
    expect(trust.identities.isAllowed(spkiHash(certificate), 5)).toBe(true)
    const endpoint = 'https://127.0.0.1:9443'
    expect(server()).toEqual({ endpoint, public_address: '127.0.0.1' })
    expect(joined).toEqual([{ serverId: 5, endpoint, address: '127.0.0.1' }])
    expect(logged).not.toContain(parseJoinToken(token).secret)
  })

  test('takes the address a machine says it has, and keeps the one an admin has set', async () => {
    trust.db.prepare("update servers set public_address = 'vpn.example.org' where id = 5").run()
    await joinWith(newToken(), { publicAddress: '2001:db8::7' })
    expect(server()).toEqual({ endpoint: 'https://[2001:db8::7]:9443', public_address: 'vpn.example.org' })
  })

  test('again after a lost answer is the same machine', async () => {
    const token = newToken()
    await joinWith(token)
    const key = readFileSync(join(folder, 'agent.key'), 'utf8')
    // As if the answer had never been stored.
    rmSync(join(folder, 'identity.json'))
    const { serverId } = await joinWith(token)
    expect(serverId).toBe(5)
    expect(readFileSync(join(folder, 'agent.key'), 'utf8')).toBe(key)
    expect(trust.db.prepare('select count(*) as n from identities').get()).toEqual({ n: 1 })
  })

  test('with a used token is refused to another machine', async () => {
    const token = newToken()
    await joinWith(token)
    await expect(joinWith(token, { folder: join(folder, 'other') })).rejects.toThrow(code('JOIN_TOKEN_USED'))
    expect(readIdentity(join(folder, 'other'))).toBeUndefined()
  })

  test('with an expired token is refused', async () => {
    const token = newToken()
    runtime.skip(JOIN_TOKEN_LIFE_MS)
    await expect(joinWith(token)).rejects.toThrow(code('JOIN_TOKEN_EXPIRED'))
  })

  test('with a wrong secret is refused, and many attempts are slowed down', async () => {
    const [secret, token] = [parseJoinToken(newToken()).secret, newToken()]
    const wrong = token.split('.').with(-1, secret).join('.')
    for (let attempt = 0; attempt < 10; attempt++) {
      await expect(joinWith(wrong)).rejects.toThrow(code('JOIN_TOKEN_WRONG'))
    }
    await expect(joinWith(wrong)).rejects.toThrow(code('RATE_LIMITED'))
    await expect(joinWith(token)).rejects.toThrow(code('RATE_LIMITED'))
    runtime.skip(60_000)
    await expect(joinWith(token)).resolves.toMatchObject({ serverId: 5 })
  })

  test('as a server that was removed meanwhile is refused', async () => {
    const token = newToken()
    trust.db.prepare('delete from servers where id = 5').run()
    await expect(joinWith(token)).rejects.toThrow(code('JOIN_TOKEN_WRONG'))
  })

  test('after the server was revoked needs a new key', async () => {
    await joinWith(newToken())
    trust.identities.revoke(5)
    rmSync(join(folder, 'identity.json'))
    await expect(joinWith(newToken())).rejects.toThrow(code('JOIN_KEY_REFUSED'))
    rmSync(join(folder, 'agent.key'))
    await expect(joinWith(newToken())).resolves.toMatchObject({ serverId: 5 })
  })

  test('says that the clock is wrong', async () => {
    const token = newToken()
    const ago = { now: () => runtime.now() - 60 * 60_000 }
    await expect(joinController({ token, folder, port: 1, runtime: ago })).rejects.toThrow(code('CLOCK_SKEW'))
  })
})

describe('a machine that joins', () => {
  test("tells nothing to anyone but the token's controller", async () => {
    let bytes = 0
    const stranger = await createTestFleetCa()
    const { certificatePem, keyPem, caPem } = stranger.controller
    const fake = createTlsServer(
      { cert: certificatePem + caPem, key: keyPem, minVersion: 'TLSv1.3' },
      (socket) => {
        socket.on('data', (chunk) => (bytes += chunk.length))
        socket.on('error', () => undefined)
      },
    )
    fake.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve))
    const { port } = fake.address() as AddressInfo
    await expect(joinWith(newToken({ host: '127.0.0.1', port }))).rejects.toThrow(code('JOIN_PIN_MISMATCH'))
    expect(bytes).toBe(0)
    expect(readIdentity(folder)).toBeUndefined()
    fake.close()
    await stranger.close()
  })

  test("is not taken in by the right CA's certificate shown with another's", async () => {
    let bytes = 0
    const stranger = await createTestFleetCa()
    const { certificatePem, keyPem } = stranger.controller
    // The pinned certificate is public: anyone may put it into the chain they show.
    const fake = createTlsServer(
      { cert: certificatePem + trust.ca.certificatePem, key: keyPem, minVersion: 'TLSv1.3' },
      (socket) => {
        socket.on('data', (chunk) => (bytes += chunk.length))
        socket.on('error', () => undefined)
      },
    )
    fake.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve))
    const { port } = fake.address() as AddressInfo
    await expect(joinWith(newToken({ host: '127.0.0.1', port }))).rejects.toThrow(code('JOIN_PIN_MISMATCH'))
    expect(bytes).toBe(0)
    fake.close()
    await stranger.close()
  })

  test('is not taken in by another server of the fleet', async () => {
    let bytes = 0
    const seven = await trust.certify(7)
    const fake = createTlsServer(
      { cert: seven.certificatePem + seven.caPem, key: seven.keyPem, minVersion: 'TLSv1.3' },
      (socket) => {
        socket.on('data', (chunk) => (bytes += chunk.length))
        socket.on('error', () => undefined)
      },
    )
    fake.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve))
    const { port } = fake.address() as AddressInfo
    await expect(joinWith(newToken({ host: '127.0.0.1', port }))).rejects.toThrow(code('JOIN_PIN_MISMATCH'))
    expect(bytes).toBe(0)
    fake.close()
  })

  test('says why the controller cannot be reached', async () => {
    const token = newToken()
    await gateway.close()
    const refused = joinWith(token)
    await expect(refused).rejects.toThrow(/nothing listens there/)
    await expect(refused).rejects.toThrow(code('CONTROLLER_UNREACHABLE'))
    await expect(refused).rejects.toThrow(/\(connection refused\)\. Is it running, and is its port open/)
    await expect(joinWith('nonsense')).rejects.toThrow(code('JOIN_TOKEN_INVALID'))
  })
})

test('says of a web server without TLS that it is none of ours', async () => {
  const plain = createHttpServer().listen(0, '127.0.0.1')
  await once(plain, 'listening')
  const { port } = plain.address() as AddressInfo
  await expect(joinWith(newToken({ host: '127.0.0.1', port }))).rejects.toThrow(
    /cannot be reached: what answers there does not speak TLS 1\.3\. /,
  )
  plain.close()
})

describe('the gateway', () => {
  test.each([
    ['GET', '/join'],
    ['PUT', '/join'],
    ['POST', '/'],
    ['POST', '/join/'],
    ['POST', '/join?x=1'],
    ['GET', '/healthz'],
    ['GET', '/api/v1/inbounds'],
  ])('knows no %s %s', async (method, path) => {
    expect(await post(path, '', method)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
  })

  test('refuses what is no join request', async () => {
    const { csrPem } = await newRequest()
    const { id, secret } = parseJoinToken(newToken())
    const good = { id, secret, csr: csrPem, port: 1 }
    for (const body of [
      '',
      '{',
      '[]',
      'null',
      {},
      { ...good, port: 0 },
      { ...good, serverId: 1 },
      { ...good, csr: 'x' },
      { ...good, publicAddress: 'evil.example/path' },
      { ...good, publicAddress: 'a:1@b' },
      { ...good, publicAddress: 'fe80::1%eth0' },
      { ...good, as: 0 },
    ]) {
      expect(await post('/join', body)).toMatchObject({ status: 400, body: { code: 'BAD_INPUT' } })
    }
    // None of this used the token up.
    expect(await post('/join', good)).toMatchObject({ status: 200, body: { serverId: 5 } })
  })

  test('refuses a large body', async () => {
    expect(await post('/join', 'x'.repeat(20_000))).toMatchObject({
      status: 413,
      body: { code: 'PAYLOAD_TOO_LARGE' },
    })
  })

  test('lets go of who is slow: in the handshake, in the head of a request, in its body', async () => {
    const impatient = await startGateway({
      ...trust,
      listen: { host: '127.0.0.1', port: 0 },
      tls,
      runtime,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      onJoined: () => undefined,
      patienceMs: 300,
    })
    const { host, port } = impatient.address
    const head = 'POST /join HTTP/1.1\r\nhost: x\r\n'
    const slow = [
      tcpConnect({ host, port }),
      ...[head, `${head}content-length: 10\r\n\r\n{`].map((part) => {
        const socket = connect({ host, port, rejectUnauthorized: false })
        socket.write(part)
        return socket
      }),
    ]
    await Promise.all(
      slow.map((socket) => {
        socket.on('error', () => undefined).resume()
        return once(socket, 'close')
      }),
    )
    expect(await joinWith(newToken(impatient.address))).toMatchObject({ serverId: 5 })
    await impatient.close()
  })

  test('refuses TLS 1.2', async () => {
    const failure = await new Promise<NodeJS.ErrnoException>((resolve, reject) => {
      const { host, port } = gateway.address
      const socket = connect({ host, port, maxVersion: 'TLSv1.2', ca: trust.ca.certificatePem })
      socket.once('secureConnect', () => reject(new Error('it spoke TLS 1.2')))
      socket.once('error', resolve)
    })
    expect(failure.code).toMatch(/^ERR_SSL_|ECONNRESET/)
  })

  test("renews the controller's certificate while it runs, and goes on answering", async () => {
    const before = tls.material().cert
    await runtime.advance(4 * 24 * 60 * 60_000)
    expect(tls.material().cert).toBe(before)
    const renewed = new Promise<void>((resolve) => tls.onRenewed(resolve))
    await runtime.advance(24 * 60 * 60_000)
    await renewed
    expect(tls.material().cert).not.toBe(before)
    const shown = await new Promise<string>((resolve, reject) => {
      const { host, port } = gateway.address
      // Not verified: by the clock of this test the new certificate is not valid yet.
      const socket = connect({ host, port, rejectUnauthorized: false })
      socket.once('secureConnect', () => {
        resolve(new X509Certificate(socket.getPeerCertificate().raw).serialNumber)
        socket.destroy()
      })
      socket.once('error', reject)
    })
    expect(shown).toBe(new X509Certificate(tls.material().cert).serialNumber)
  })
})
