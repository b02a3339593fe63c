import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OperationInput } from '#src/contract/index.ts'
import type { Fault } from '#test/support/fault-proxy.ts'
import { type ProxiedHouse, openProxiedHouse } from '#test/support/proxied-house.ts'
import { freePort } from '#test/support/xray-client.ts'

let house: ProxiedHouse
beforeAll(async () => {
  house = await openProxiedHouse()
})
afterAll(() => house.end())

const person = (email: string) => ({ email, uuid: randomUUID(), subscriptionId: randomUUID() })
const inbound = async (tag: string): Promise<OperationInput<'inbounds.add'>> => ({
  tag,
  protocol: 'vless',
  port: await freePort(),
  listen: '127.0.0.1',
  stream: { transport: { type: 'raw' }, security: { type: 'none' } },
})

/** Every change that waits for its server: what must stand before it, and the change itself, sent as a batch. */
const changes: Record<string, (name: string) => Promise<() => Promise<string>>> = {
  'inbounds.add': async (name) => {
    const input = await inbound(name)
    return () => house.run('inbounds.add', input)
  },
  'inbounds.update': async (name) => {
    await house.over(await house.run('inbounds.add', await inbound(name)))
    return () => house.run('inbounds.update', { id: name, remark: 'changed', rowVersion: 1 })
  },
  'inbounds.delete': async (name) => {
    await house.over(await house.run('inbounds.add', await inbound(name)))
    return () => house.run('inbounds.delete', { id: name })
  },
  'clients.add': async (name) => () => house.run('clients.add', { id: 'main', clients: [person(name)] }),
  'clients.update': async (name) => {
    await house.over(await house.run('clients.add', { id: 'main', clients: [person(name)] }))
    return () => house.run('clients.update', { email: name, uuid: randomUUID(), rowVersion: 1 })
  },
  'clients.delete': async (name) => {
    await house.over(await house.run('clients.add', { id: 'main', clients: [person(name)] }))
    return () => house.run('clients.delete', { email: name })
  },
  'clients.resetTraffic': async (name) => {
    await house.over(await house.run('clients.add', { id: 'main', clients: [person(name)] }))
    return () => house.run('clients.resetTraffic', { email: name })
  },
}

/** `strikes`: the fault ends by itself at the first connection it cuts; the others are mended by the test. */
const faults: Record<string, { fault: Fault; strikes: boolean }> = {
  'the request is cut in its middle': {
    fault: { type: 'cut', direction: 'request', after: 100, once: true },
    strikes: true,
  },
  'the reply is cut before its first byte': {
    fault: { type: 'cut', direction: 'reply', after: 0, once: true },
    strikes: true,
  },
  'the reply is cut in its middle': {
    fault: { type: 'cut', direction: 'reply', after: 60, once: true },
    strikes: true,
  },
  'the reply comes after the timeout': { fault: { type: 'latency', ms: 1_200 }, strikes: false },
  'the reply never comes, though all is done': { fault: { type: 'holdReplies' }, strikes: false },
}

/** How far the node's count of changes moves when nothing goes wrong. */
const steps = new Map<string, number>()

async function expectAllAgree(): Promise<void> {
  const node = await house.onNode()
  await expect.poll(() => house.inMirror(), { timeout: 10_000 }).toEqual(node)
  expect(new Set(node.clients.map(({ email }) => email)).size).toBe(node.clients.length)
  const users = await house.inXray('main')
  const wanted = node.clients.map(({ email, uuid }) => ({ email, uuid }))
  expect(users.sort((a, b) => a.email.localeCompare(b.email))).toEqual(wanted)
}

describe.each(Object.entries(changes))('%s', (operation, prepare) => {
  beforeAll(async () => {
    if (house.fleet.view.tags([house.serverId]).every(({ tag }) => tag !== 'main')) {
      await house.over(await house.run('inbounds.add', await inbound('main')))
    }
    const change = await prepare(`${operation.replace('.', '-')}-plain`)
    const before = await house.changeSeq()
    expect(await house.over(await change())).toMatchObject({ status: 'applied', attempts: 1 })
    steps.set(operation, (await house.changeSeq()) - before)
    expect(steps.get(operation)).toBeGreaterThan(0)
  })

  test.each(Object.entries(faults))('%s', async (what, { fault, strikes }) => {
    const change = await prepare(`${operation}-${what}`.replace(/[^a-z]+/gi, '-').slice(0, 60))
    const before = await house.changeSeq()
    // The mirror fetches behind the answer; what is to be met is the change's own connection.
    await expectAllAgree()
    await house.warm()
    const struck = house.proxy.strikes
    house.proxy.set(fault)
    const batch = await change()
    if (strikes) await expect.poll(() => house.proxy.strikes, { timeout: 10_000 }).toBe(struck + 1)
    else {
      await expect.poll(() => house.outcomes(house.task(batch).id), { timeout: 20_000 }).toEqual(['applied'])
      // The controller knows nothing of it, gives up waiting, and is about to ask again.
      await expect
        .poll(() => house.task(batch), { timeout: 20_000, interval: 5 })
        .toMatchObject({ status: 'pending', error: { code: 'SERVER_TIMEOUT' } })
      house.proxy.heal()
    }
    const task = await house.over(batch)
    expect(task).toMatchObject({ status: 'applied', error: null })
    expect(task.attempts).toBeGreaterThan(1)
    expect(house.outcomes(task.id)).toEqual(['applied'])
    expect((await house.changeSeq()) - before).toBe(steps.get(operation))
    await expectAllAgree()
  })
})

describe('xray.restart, which is for the moment only', () => {
  const cut = Object.entries(faults).filter(([, { strikes }]) => strikes)

  test.each(cut)('%s: it is done once, and its outcome is asked for at once', async (_, { fault }) => {
    await house.warm()
    const struck = house.proxy.strikes
    house.proxy.set(fault)
    const task = await house.over(await house.run('xray.restart', undefined as never))
    expect(house.proxy.strikes).toBe(struck + 1)
    expect(task).toMatchObject({ status: 'applied', error: null })
    expect(house.outcomes(task.id)).toEqual(['applied'])
    await expectAllAgree()
  })

  test('and where no answer comes while the moment lasts, it is not told as failed', async () => {
    await house.warm()
    house.proxy.set({ type: 'holdReplies' })
    const task = await house.over(await house.run('xray.restart', undefined as never))
    house.proxy.heal()
    expect(task).toMatchObject({ status: 'failed', error: { code: 'OUTCOME_UNKNOWN' } })
    expect(house.outcomes(task.id)).toEqual(['applied'])
    await expectAllAgree()
  })
})
