/** A real Xray whose inbound is to listen at another address of the same port, which it holds itself. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePort } from '#test/support/client-process.ts'
import { plainInput } from '#test/support/inputs.ts'
import { listeningSockets } from '#test/support/listening-socket.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'

let it: TestNode
let port: number
const call = () => ({ idempotencyKey: randomUUID() })

beforeEach(async () => {
  it = await startTestNode()
  port = await freePort()
})
afterEach(() => it.stop())

const listenAt = (listen: string) => it.node.operations['inbounds.update']({ id: 'main', listen }, call())
const sockets = async (): Promise<string[]> => {
  const { pid } = await it.node.operations['xray.start'](undefined, call())
  return listeningSockets(pid ?? 0, port).map((socket) => socket.split(' ')[0] ?? '')
}

test('from all addresses to one, and back', async () => {
  await it.node.operations['inbounds.add']({ ...plainInput('main', port), listen: '0.0.0.0' }, call())
  for (const listen of ['127.0.0.1', '::', '0.0.0.0']) {
    expect(await listenAt(listen)).toMatchObject({ listen })
    // To Xray 0.0.0.0 is both kinds, too.
    expect(await sockets()).toEqual([listen === '127.0.0.1' ? 'tcp' : 'tcp6'])
  }
})

test('not where another program has one of them', async () => {
  await it.node.operations['inbounds.add'](plainInput('main', port), call())
  const other = createServer().listen({ host: '127.0.0.2', port, exclusive: true })
  await once(other, 'listening')
  try {
    await expect(listenAt('0.0.0.0')).rejects.toMatchObject({ code: 'PORT_TAKEN' })
    expect(await it.node.operations['inbounds.get']({ id: 'main' }, {})).toMatchObject({
      listen: '127.0.0.1',
    })
    expect(await sockets()).toEqual(['tcp'])
  } finally {
    other.close()
  }
})
