import { createServer as createPlainServer, type Server as PlainServer } from 'node:net'
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type TlsOptions,
} from 'node:tls'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { operationNames } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { systemRuntime } from '#src/runtime.ts'
import { type Certified, createTestFleetCa, type TestFleetCa } from '#test/support/test-fleet-ca.ts'
import { hurriedRuntime } from '#test/support/hurried-runtime.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { type Connection, createConnectorFactory } from './factory.ts'

let trust: TestFleetCa
let stranger: TestFleetCa
let two: Certified
let three: Certified
beforeAll(async () => {
  trust = await createTestFleetCa()
  stranger = await createTestFleetCa()
  two = await trust.certify(2)
  three = await trust.certify(3)
})
afterAll(async () => {
  await trust.close()
  await stranger.close()
})

let asked = 0
const operations = Object.fromEntries(
  operationNames().map((name) => [name, () => Promise.resolve((asked++, []))]),
) as unknown as NodeOperations

const open: { close(): unknown }[] = []
beforeEach(() => {
  asked = 0
})
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

function connectTo(
  port: number,
  options: { serverId?: number; context?: SecureContext; host?: string; isHurried?: boolean } = {},
): Connection {
  const connect = createConnectorFactory({
    operations,
    secureContext: () => options.context ?? trust.secureContext(),
    isAllowed: (hash, id) => trust.identities.isAllowed(hash, id),
    runtime: options.isHurried === true ? hurriedRuntime(1_000) : systemRuntime(),
    log: silentLog(),
  })
  const endpoint = `https://${options.host ?? '127.0.0.1'}:${port}`
  const connection = connect({ id: options.serverId ?? 2, kind: 'agent', endpoint })
  open.push(connection)
  return connection
}

async function refusalOf(connection: Connection): Promise<FleetError> {
  const error: unknown = await connection.inbounds.list().then(
    () => new Error('it was answered'),
    (reason: unknown) => reason,
  )
  if (!(error instanceof FleetError)) throw error
  return error
}

const contextOf = (identity: Partial<Certified>): SecureContext =>
  createSecureContext({
    ...(identity.certificatePem === undefined ? {} : { cert: identity.certificatePem }),
    ...(identity.keyPem === undefined ? {} : { key: identity.keyPem }),
    ca: trust.ca.certificatePem,
  })

/** A TLS server that is no agent, and counts what it is told. */
async function fakeAgent(options: TlsOptions): Promise<{ port: number; received: () => number }> {
  let bytes = 0
  const server = createTlsServer(options, (socket) => {
    socket.on('data', (chunk) => (bytes += chunk.length))
    socket.on('error', () => undefined)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(server)
  return { port: (server.address() as AddressInfo).port, received: () => bytes }
}

describe('the controller', () => {
  test('is answered by the right server', async () => {
    const agent = await trust.serve(two, operations)
    expect(await connectTo(agent.port).inbounds.list()).toEqual([])
    expect(asked).toBe(1)
  })

  test('keeps its connection for the next call', async () => {
    const agent = await trust.serve(await trust.certify(6), operations)
    const connection = connectTo(agent.port, { serverId: 6 })
    await connection.inbounds.list()
    // A new connection would be refused from now on; the warm one is not looked at again.
    trust.identities.revoke(6)
    for (let call = 0; call < 4; call++) {
      // A connection is free again one turn of the event loop after its answer.
      await nextTurn()
      await connection.inbounds.list()
    }
    expect(asked).toBe(5)
    // Which is why whoever revokes also closes it.
    await connection.close()
    expect((await refusalOf(connectTo(agent.port, { serverId: 6 }))).code).toBe('SERVER_IDENTITY_REFUSED')
  })

  test("refuses agent 2's certificate at server 3's address, before anything is sent", async () => {
    const fake = await fakeAgent({ cert: two.certificatePem, key: two.keyPem, minVersion: 'TLSv1.3' })
    const error = await refusalOf(connectTo(fake.port, { serverId: 3 }))
    expect(error).toMatchObject({
      code: 'SERVER_IDENTITY_REFUSED',
      retryable: true,
      details: { endpoint: `https://127.0.0.1:${fake.port}`, reason: 'it is server 2' },
    })
    expect(fake.received()).toBe(0)
  })

  test("refuses the controller's own certificate as a server's", async () => {
    const { certificatePem: cert, keyPem: key } = trust.controller
    const fake = await fakeAgent({ cert, key, minVersion: 'TLSv1.3' })
    expect(await refusalOf(connectTo(fake.port))).toMatchObject({ code: 'SERVER_IDENTITY_REFUSED' })
    expect(fake.received()).toBe(0)
  })

  test('refuses a certificate of another CA, though it says the right name', async () => {
    const foreign = await stranger.certify(2)
    const fake = await fakeAgent({
      cert: foreign.certificatePem + foreign.caPem,
      key: foreign.keyPem,
      minVersion: 'TLSv1.3',
    })
    const error = await refusalOf(connectTo(fake.port))
    expect(error).toMatchObject({
      code: 'SERVER_UNREACHABLE',
      details: { reason: 'TLS was refused: its certificate is not from this fleet' },
    })
    expect(fake.received()).toBe(0)
  })

  test('refuses a revoked key, and one whose server was removed', async () => {
    const four = await trust.certify(4)
    const agent = await trust.serve(four, operations)
    expect(await connectTo(agent.port, { serverId: 4 }).inbounds.list()).toEqual([])
    trust.identities.revoke(4)
    const revoked = { code: 'SERVER_IDENTITY_REFUSED', details: { reason: 'its certificate was revoked' } }
    expect(await refusalOf(connectTo(agent.port, { serverId: 4 }))).toMatchObject(revoked)

    const five = await trust.certify(5)
    const other = await trust.serve(five, operations)
    trust.db.prepare('delete from servers where id = 5').run()
    expect(await refusalOf(connectTo(other.port, { serverId: 5 }))).toMatchObject(revoked)
    expect(asked).toBe(1)
  })

  test('refuses TLS 1.2', async () => {
    const fake = await fakeAgent({ cert: two.certificatePem, key: two.keyPem, maxVersion: 'TLSv1.2' })
    const error = await refusalOf(connectTo(fake.port))
    expect(error).toMatchObject({
      code: 'SERVER_UNREACHABLE',
      details: { reason: 'TLS was refused: it does not speak TLS 1.3' },
    })
  })

  test('says why a server cannot be reached', async () => {
    const agent = await trust.serve(two, operations)
    await agent.close()
    expect((await refusalOf(connectTo(agent.port))).details['reason']).toBe(
      'nothing listens there (connection refused)',
    )
    expect((await refusalOf(connectTo(443, { host: 'no-such-host.invalid' }))).details['reason']).toMatch(
      /^its name /,
    )
  })

  test('says that an answer is not one', async () => {
    const server = createTlsServer(
      { cert: two.certificatePem, key: two.keyPem, minVersion: 'TLSv1.3' },
      (socket) => {
        socket.on('error', () => undefined)
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'))
      },
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push(server)
    const { port } = server.address() as AddressInfo
    expect(await refusalOf(connectTo(port))).toMatchObject({
      code: 'SERVER_ANSWER_UNREADABLE',
      details: { reason: 'it is not JSON' },
    })
  })

  test('does not believe an answer the contract does not allow', async () => {
    const agent = await trust.serve(two, operations)
    // The node's own check would catch it; so the answer is given by a door of another release.
    const foreign = createTlsServer(
      { cert: two.certificatePem, key: two.keyPem, minVersion: 'TLSv1.3' },
      (socket) => {
        socket.on('error', () => undefined)
        const body = JSON.stringify([{ id: -1 }])
        socket.once('data', () =>
          socket.end(
            `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
          ),
        )
      },
    )
    await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
    open.push(foreign, agent)
    const { port } = foreign.address() as AddressInfo
    expect((await refusalOf(connectTo(port))).code).toBe('SERVER_ANSWER_UNREADABLE')
  })

  test.each([
    [false, 'SERVER_REFUSED'],
    [true, 'SERVER_UNREACHABLE'],
  ])(
    'keeps the words of an error that only a newer release knows (again: %s): %s',
    async (retryable, code) => {
      const body = JSON.stringify({
        defined: false,
        code: 'MOON_IN_THE_WAY',
        status: 409,
        message: 'The moon is in the way. Wait for the morning.',
        data: { retryable, details: {}, trace: 'x' },
      })
      const newer = createTlsServer(
        { cert: two.certificatePem, key: two.keyPem, minVersion: 'TLSv1.3' },
        (socket) => {
          socket.on('error', () => undefined)
          const head = `HTTP/1.1 409 Conflict\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`
          socket.once('data', () => socket.end(`${head}\r\n\r\n${body}`))
        },
      )
      await new Promise<void>((resolve) => newer.listen(0, '127.0.0.1', resolve))
      open.push(newer)
      const error = await refusalOf(connectTo((newer.address() as AddressInfo).port))
      expect(error).toMatchObject({ code, retryable })
      expect(error.message).toContain('The moon is in the way.')
    },
  )

  test('does not wait longer than the operation may take', async () => {
    const sockets: PlainServer = createPlainServer((socket) => socket.on('error', () => undefined))
    await new Promise<void>((resolve) => sockets.listen(0, '127.0.0.1', resolve))
    const { port } = sockets.address() as AddressInfo
    // The clock is the only thing hurried here: the server really says nothing.
    const connection = connectTo(port, { isHurried: true })
    expect(await refusalOf(connection)).toMatchObject({
      code: 'SERVER_TIMEOUT',
      retryable: true,
      details: { seconds: 10 },
    })
    await connection.close()
    sockets.close()
  })

  test('a server that has not joined is told apart', () => {
    const connect = createConnectorFactory({
      operations,
      secureContext: trust.secureContext,
      isAllowed: () => false,
      runtime: systemRuntime(),
      log: silentLog(),
    })
    expect(() => connect({ id: 9, kind: 'agent', endpoint: null })).toThrow(
      expect.objectContaining({ code: 'SERVER_NOT_JOINED' }),
    )
  })
})

describe('the agent', () => {
  // In TLS 1.3 a client has sent its request before it hears of the refusal, so the alert may be lost in the reset.
  const notAccepted = /it does not accept the controller's certificate|the connection was cut/

  test('refuses a caller without a certificate', async () => {
    const agent = await trust.serve(two, operations)
    const error = await refusalOf(connectTo(agent.port, { context: contextOf({}) }))
    expect(error.code).toBe('SERVER_UNREACHABLE')
    expect(error.details['reason']).toMatch(notAccepted)
    expect(asked).toBe(0)
  })

  test('refuses a caller with a certificate of another CA', async () => {
    const agent = await trust.serve(two, operations)
    const error = await refusalOf(connectTo(agent.port, { context: contextOf(stranger.controller) }))
    expect(error.code).toBe('SERVER_UNREACHABLE')
    expect(error.details['reason']).toMatch(notAccepted)
    expect(asked).toBe(0)
  })

  test('refuses another agent as a caller, though it is of the fleet', async () => {
    const agent = await trust.serve(two, operations)
    const error = await refusalOf(connectTo(agent.port, { context: contextOf(three) }))
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE' })
    expect(asked).toBe(0)
  })

  test('refuses TLS 1.2', async () => {
    const agent = await trust.serve(two, operations)
    const context = createSecureContext({
      cert: trust.controller.certificatePem,
      key: trust.controller.keyPem,
      ca: trust.ca.certificatePem,
      maxVersion: 'TLSv1.2',
    })
    const error = await refusalOf(connectTo(agent.port, { context }))
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE' })
    expect(error.details['reason']).toMatch(/TLS 1.3/)
    expect(asked).toBe(0)
  })
})
