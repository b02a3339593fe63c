import { randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OperationInput, OperationName } from '#src/contract/index.ts'
import type { Actor, Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { type ProxiedHouse, openProxiedHouse } from '#test/support/proxied-house.ts'
import { freePort } from '#test/support/xray-client.ts'

type PlainInbound = Extract<OperationInput<'inbounds.add'>, { protocol: 'vless' }>
const actor: Actor = { kind: 'system', id: 'test' }
const family = '👨‍👩‍👧‍👦'

describe('asked of a server over the network, and of a real Xray', () => {
  let house: ProxiedHouse
  let program: ReturnType<typeof createServer>
  let port: number
  const taken = (): number => (program.address() as AddressInfo).port
  const inbound = (more: Partial<PlainInbound> = {}): PlainInbound => ({
    tag: 'second',
    protocol: 'vless',
    port: 1,
    listen: '127.0.0.1',
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
    ...more,
  })
  const person = (email: string) => ({ email, uuid: randomUUID(), subscriptionId: randomUUID() })
  const clients = (email: string) => ({ id: 'main', clients: [person(email)] })

  beforeAll(async () => {
    house = await openProxiedHouse()
    program = createServer()
    await new Promise<void>((resolve) => program.listen(0, '127.0.0.1', resolve))
    port = await freePort()
    await house.over(await house.run('inbounds.add', inbound({ tag: 'main', port })))
    await house.over(await house.run('clients.add', clients('anna')))
  })
  afterAll(async () => {
    program.close()
    await house.end()
  })

  /** Nothing moved: not the node's rows, not its Xray, not the mirror. */
  async function changesNothing(work: () => Promise<void>): Promise<void> {
    const look = async () => ({
      seq: await house.changeSeq(),
      node: await house.onNode(),
      mirror: house.inMirror(),
      xray: await house.inXray('main'),
    })
    // The mirror follows behind: what was done before this must have arrived in it.
    await expect.poll(() => house.inMirror(), { timeout: 10_000 }).toEqual(await house.onNode())
    const before = await look()
    await work()
    expect(await look()).toEqual(before)
  }

  test.each<[string, OperationName, () => object, string, object]>([
    ['a port another program has', 'inbounds.add', () => inbound({ port: taken() }), 'PORT_TAKEN', {}],
    [
      "another inbound's port",
      'inbounds.add',
      () => inbound({ port }),
      'PORT_TAKEN',
      { by: expect.stringContaining('main') as string },
    ],
    [
      'a tag that is taken',
      'inbounds.add',
      () => inbound({ tag: 'main' }),
      'INBOUND_TAG_TAKEN',
      { tag: 'main' },
    ],
    [
      'a move to a port another program has',
      'inbounds.update',
      () => ({ id: 'main', port: taken() }),
      'PORT_TAKEN',
      {},
    ],
    [
      'an inbound that is not there',
      'clients.add',
      () => ({ ...clients('x'), id: 'gone' }),
      'INBOUND_NOT_FOUND',
      {},
    ],
    ['a name that is taken', 'clients.add', () => clients('ANNA'), 'CLIENT_NAME_TAKEN', { email: 'anna' }],
    [
      'a client that is not there',
      'clients.update',
      () => ({ email: 'nobody', enabled: false }),
      'CLIENT_NOT_FOUND',
      {},
    ],
    [
      'a row that has moved on',
      'clients.update',
      () => ({ email: 'anna', enabled: false, rowVersion: 9 }),
      'STALE_ROW_VERSION',
      {},
    ],
  ])('%s: %s is refused', async (_, operation, input, code, details) => {
    await changesNothing(async () => {
      const task = await house.over(await house.run(operation, input() as never))
      expect(task).toMatchObject({ status: 'failed', attempts: 1, error: { code, details } })
    })
  })

  test.each<[string, OperationName, () => object, string]>([
    ['a port of 0', 'inbounds.add', () => inbound({ port: 0 }), 'port'],
    ['a port beyond the last', 'inbounds.add', () => inbound({ port: 65_536 }), 'port'],
    ['an empty tag', 'inbounds.add', () => inbound({ tag: '' }), 'tag'],
    ['a tag that is a number', 'inbounds.add', () => inbound({ tag: '12' }), 'tag'],
    ['an empty name', 'clients.add', () => clients(''), 'clients.0.email'],
    ['a name of blanks', 'clients.add', () => clients(' \u00a0 '), 'clients.0.email'],
    ['a name nobody can see', 'clients.add', () => clients('\u200b\u2060'), 'clients.0.email'],
    ['a name that is too long', 'clients.add', () => clients('x'.repeat(65)), 'clients.0.email'],
    ['a name of two lines', 'clients.add', () => clients('a\nb'), 'clients.0.email'],
    ['a name that turns the line around', 'clients.add', () => clients('\u202egnp.exe'), 'clients.0.email'],
    ['a name that isolates what follows', 'clients.add', () => clients('a\u2066b'), 'clients.0.email'],
    ["a name with Xray's separator", 'clients.add', () => clients('a>>>b'), 'clients.0.email'],
    ['an unknown field', 'clients.update', () => ({ email: 'anna', admin: true }), 'input'],
  ])('%s is refused before anything is journaled', async (_, operation, input, field) => {
    const tasks = () => house.fleet.tasks.open(house.serverId)
    await changesNothing(async () => {
      await expect(house.run(operation, input() as never)).rejects.toMatchObject({
        code: 'BAD_INPUT',
        details: { field },
      })
      expect(tasks()).toEqual([])
    })
  })

  test('a server nobody knows is refused', async () => {
    const targets = [{ serverId: 99, input: { email: 'anna' } }]
    await expect(
      house.fleet.tasks.run({ operation: 'clients.delete', targets, actor }),
    ).rejects.toMatchObject({
      code: 'SERVER_NOT_FOUND',
      details: { server: 99 },
    })
  })

  test.each(['علی رضا', 'نرم\u200cافزار', 'אבא', family, 'Ünï-çödé', '李雷', 'a+b%2F?#&=;"<b>'])(
    'a client may be called %s, and is found, changed and deleted under that name',
    async (email) => {
      await house.over(await house.run('clients.add', clients(email)))
      expect((await house.inXray('main')).map((user) => user.email)).toContain(email)
      const changed = await house.over(await house.run('clients.update', { email, comment: email }))
      expect(changed.status).toBe('applied')
      await expect
        .poll(() => house.fleet.view.clientByEmail(house.serverId, email)?.comment, { timeout: 10_000 })
        .toBe(email)
      expect((await house.over(await house.run('clients.delete', { email }))).status).toBe('applied')
      expect((await house.inXray('main')).map((user) => user.email)).not.toContain(email)
    },
  )
})

describe('typed into the chat', () => {
  let house: BotHouse
  let server: Server
  beforeAll(async () => {
    house = await openBotHouse()
    house.fleet.servers.setEnabled(1, false, actor)
    server = await house.join('de-1', 'main')
    await house.join('nl-1', 'main')
  })
  afterAll(() => house.end())

  /** Types into an open question, sees why that will not do, and that the question still stands. */
  async function isRefused(text: string, why: RegExp): Promise<void> {
    const { alice } = house
    const { messageId } = await alice.sends(text)
    // An answer that was heard is taken out of the chat.
    await alice.until(() =>
      alice.messages().some((each) => each.messageId === messageId) ? undefined : true,
    )
    const screen = await alice.seesScreen(why)
    expect(screen.buttons.flat()).toContain('Cancel')
  }
  const applied = (): number => house.nodeOf(server).applied.length

  test('names of clients', async () => {
    const { alice } = house
    const before = applied()
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    for (const name of ['x'.repeat(65), 'a/b', 'a>>>b', '\u2066anna\u2069', '\u2060']) {
      await isRefused(name, /1 to 64/)
    }
    await alice.sends(`علی ${family}`)
    await alice.seesScreen('On which servers?')
    await alice.taps('All servers')
    await alice.seesScreen(`Name: علی ${family}`)
    expect(applied()).toBe(before)
    await alice.taps('Create')
    await alice.seesScreen('Done on 2 of 2.')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await isRefused(`علی ${family}`, /already|taken/)
    await alice.sends('/cancel')
  })

  test('names of servers', async () => {
    const { alice } = house
    const before = house.fleet.servers.list().length
    await alice.sends('/server')
    await alice.seesScreen('What is the new server called?')
    for (const name of ['x'.repeat(41), '\u2067de\u2069', '\u2060']) await isRefused(name, /40/)
    for (const name of ['DE-1', 'ｄｅ-1']) await isRefused(name, /in the fleet already/)
    expect(house.fleet.servers.list()).toHaveLength(before)
    await alice.sends(`سرور ${family}`)
    await alice.seesScreen('Where is')
    await alice.taps('Skip')
    await alice.seesScreen('Waiting for it to join')
    expect(house.fleet.servers.list().at(-1)?.name).toBe(`سرور ${family}`)
  })

  test('ports and tags of inbounds', async () => {
    const { alice } = house
    const before = applied()
    await alice.sends('/inbound')
    await alice.seesScreen('How shall clients connect?')
    await alice.taps('More…')
    await alice.sees('VLESS, plain')
    await alice.taps('VLESS, plain')
    await alice.seesScreen('On which port?')
    for (const port of ['0', '65536', '-1', '443x', '4.43', 'https', '99999999999']) {
      await isRefused(port, /65535/)
    }
    await alice.sends('8443')
    await alice.seesScreen('What is the inbound called?')
    for (const tag of ['12', 'two words', 'главный', 'x'.repeat(65), family]) await isRefused(tag, /letter/)
    await alice.sends('/cancel')
    expect(applied()).toBe(before)
  })

  test('a link to a server that is not there, and what no command is', async () => {
    const { alice } = house
    for (const id of ['99', '0', '-1', '1e9', '99999999999999999999']) {
      await alice.sends(`/start srv_${id}`)
      await alice.seesScreen(/There is no server|Fleet/)
    }
    await alice.sends('/start srv_99')
    await alice.seesScreen('There is no server 99')
  })
})
