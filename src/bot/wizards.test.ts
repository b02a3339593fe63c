import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse({ owners: [7, 8] })
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

/** The local server has no node behind it here: only the agents take part. */
async function twoServers(inbound?: string) {
  house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
  return [await house.join('de-1', inbound), await house.join('nl-1', inbound)] as const
}

async function toSummary(name: string): Promise<void> {
  const { alice } = house
  await alice.sends('/add')
  await alice.seesScreen('What is the client called?')
  await alice.sends(name)
  await alice.seesScreen('On which servers?')
  await alice.taps('All servers')
  await alice.seesScreen(`Name: ${name}`)
}

describe('add inbound', () => {
  test('on all servers: template, port, name, target, servers, summary, result', async () => {
    const { alice } = house
    const servers = await twoServers()
    await alice.sends('/start')
    await alice.seesScreen('of 3 online')
    await alice.taps('Add inbound')
    await alice.seesScreen('Step 1/6')
    await alice.taps('VLESS + REALITY')
    const port = await alice.seesScreen('On which port?')
    expect(port.buttons[0]).toEqual(['443'])
    await alice.sends('99999')
    await alice.seesScreen('1 to 65535')
    await alice.sends('8443')
    await alice.seesScreen('What is the inbound called?')
    await alice.taps('Back')
    await alice.seesScreen('On which port?')
    await alice.taps('443')
    await alice.seesScreen('What is the inbound called?')
    await alice.sends('1 bad <tag>')
    await alice.seesScreen('begins with a letter')
    await alice.taps('reality-443')
    await alice.seesScreen('Which site')
    await alice.sends('www.example.com')
    const which = await alice.seesScreen('Step 5/6')
    expect(which.buttons[0]).toEqual(['All servers'])
    await alice.taps('All servers')
    const summary = await alice.seesScreen('Step 6/6')
    expect(summary.text).toContain('www.example.com:443')
    expect(summary.text).toContain('All servers (2)')
    expect(summary.text).toContain('2 of 2 reachable')
    await alice.taps('Create')
    const result = await alice.seesScreen('Done on 2 of 2')
    expect(result.text).toContain('✅ de-1')
    expect(result.text).toContain('✅ nl-1')
    for (const server of servers) {
      const [inbound] = [...house.nodeOf(server).inbounds.values()]
      expect(inbound).toMatchObject({ tag: 'reality-443', port: 443 })
      expect(inbound?.stream.security).toMatchObject({
        target: 'www.example.com:443',
        serverNames: ['www.example.com'],
      })
    }
  })
})

describe('add inbound, of another kind', () => {
  /** From the fleet to the question for a port; there is one server, so none is asked for. */
  async function choose(name: string, isCommon: boolean): Promise<void> {
    const { alice } = house
    await alice.sends('/inbound')
    await alice.seesScreen('How shall clients connect?')
    if (!isCommon) {
      await alice.taps('More…')
      await alice.seesScreen('VLESS, plain:')
    }
    await alice.taps(name)
    await alice.seesScreen('On which port?')
  }
  const made = (server: Awaited<ReturnType<BotHouse['join']>>) => [...house.nodeOf(server).inbounds.values()]

  test('the usual ones first, the others behind a button, and back again', async () => {
    const { alice } = house
    await alice.sends('/inbound')
    const usual = await alice.seesScreen('How shall clients connect?')
    expect(usual.buttons.flat().slice(0, 6)).toEqual([
      'VLESS + REALITY',
      'VLESS + XHTTP + REALITY',
      'Hysteria 2',
      'Trojan + TLS',
      'Shadowsocks 2022',
      'More…',
    ])
    await alice.taps('More…')
    const others = await alice.seesScreen('WireGuard:')
    expect(others.buttons.flat()).not.toContain('VLESS + REALITY')
    await alice.taps('WireGuard')
    await alice.seesScreen('On which port?')
    await alice.taps('Back')
    await alice.seesScreen('WireGuard:')
    await alice.taps('Back')
    await alice.seesScreen('VLESS + REALITY:')
    await alice.taps('Back')
    await alice.seesScreen(/^Default Local Server\n/)
  })

  test('a certificate of its own by one tap, or one of the server by its domain; a port of UDP beside TCP', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    const open = async (domain?: string): Promise<void> => {
      await alice.sends(`/start srv_${server.id}`)
      await alice.seesScreen(/^Fleet › de-1\n/)
      await alice.taps('Add inbound')
      await alice.seesScreen('How shall clients connect?')
      await alice.taps(domain === undefined ? 'Hysteria 2' : 'Trojan + TLS')
      await alice.seesScreen('On which port?')
      // The other inbound there is on it already: by TCP.
      await alice.sends('8080')
      if (domain !== undefined) {
        await alice.seesScreen('Port 8080 is used by another inbound')
        await alice.sends('8443')
      }
      await alice.seesScreen('What is the inbound called?')
      await alice.taps(domain === undefined ? 'hysteria2-8080' : 'trojan-8443')
      await alice.seesScreen('Which certificate')
      if (domain === undefined) await alice.taps('Its own')
      else {
        await alice.sends('no domain')
        await alice.seesScreen('That is no domain')
        await alice.sends(domain)
      }
      await alice.seesScreen(domain === undefined ? 'Certificate: its own' : `Certificate: ${domain}`)
      await alice.taps('Create')
      await alice.seesScreen('is added')
    }
    await open()
    await open('vpn.example.com')
    const [, hysteria, trojan] = made(server)
    expect(hysteria).toMatchObject({ protocol: 'hysteria2', port: 8080 })
    expect(hysteria?.stream.security).toMatchObject({ type: 'tls', certificate: { source: 'own' } })
    expect(trojan?.stream.security).toMatchObject({
      serverName: 'vpn.example.com',
      certificate: { source: 'store', domain: 'vpn.example.com' },
    })
  })

  test('a tunnel asks where it leads, and is not offered to clients', async () => {
    const { alice } = house
    house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
    const server = await house.join('de-1')
    await choose('Tunnel', false)
    await alice.sends('2222')
    await alice.seesScreen('What is the inbound called?')
    await alice.taps('tunnel-2222')
    await alice.seesScreen('Where shall it lead?')
    await alice.sends('somewhere')
    await alice.seesScreen('That is no host and port')
    await alice.sends('192.0.2.10:22')
    await alice.seesScreen('On which servers?')
    await alice.taps('All servers')
    await alice.seesScreen('Leads to: 192.0.2.10:22')
    await alice.taps('Create')
    const result = await alice.seesScreen('is added')
    expect(result.buttons).toEqual([['Open inbound'], ['‹ Home']])
    expect(made(server)[0]).toMatchObject({ protocol: 'tunnel', settings: { target: '192.0.2.10:22' } })
    await alice.sends('/add')
    await alice.seesScreen('There is no inbound here yet')
  })
})

describe('add client', () => {
  test('on all servers while one is away: two lines, links, QR pictures by button, and the card', async () => {
    const { alice } = house
    const [, away] = await twoServers('main')
    house.nodeOf(away).offline = true
    house.fleet.servers.report(away.id, { status: 'offline' })
    await toSummary('bob & <co>')
    const summary = await alice.seesScreen('1 of 2 reachable')
    expect(summary.text).toContain('1 is away: changes reach it when it is back.')
    await alice.taps('Create')
    const result = await alice.seesScreen('waiting: 1')
    expect(result.text).toContain('✅ de-1')
    expect(result.text).toContain('⏳ nl-1: will follow when it is back')
    expect(result.text).toContain('vless://')
    expect(result.text).toMatch(/^Fleet › Clients › bob & <co>\n\nAdding bob & <co>\n/)
    expect(alice.messages().some((message) => message.photo !== undefined)).toBe(false)
    await alice.taps('QR · de-1')
    await alice.until(() =>
      alice.messages().some((message) => message.photo !== undefined) ? true : undefined,
    )
    expect(alice.photo().subarray(1, 4).toString()).toBe('PNG')

    house.nodeOf(away).offline = false
    house.fleet.servers.report(away.id, { status: 'online' })
    house.fleet.tasks.kick(away.id)
    await alice.sees('Done on 2 of 2')
    await alice.taps('Open client')
    const card = await alice.sees('On 2 servers')
    expect(card.text.match(/vless:\/\//g)).toHaveLength(2)
    await alice.taps('QR · nl-1')
    await alice.until(() =>
      alice.messages().filter((message) => message.photo).length === 2 ? true : undefined,
    )

    await alice.taps('Disable')
    await alice.sees('Its links stop working on 2 servers until you enable it again.')
    expect(house.nodeOf(away).applied.at(-1)?.operation).toBe('clients.add')
    await alice.taps('Disable')
    await alice.sees(/bob & <co> is disabled[^]*Done on 2 of 2/)
    await alice.taps('Open client')
    await alice.sees('⏸ Disabled: its links do not work')
    await alice.taps('Delete')
    await alice.sees('The links stop working on 2 servers')
    await alice.taps('Delete')
    await alice.sees(/bob & <co> is deleted[^]*Done on 2 of 2/)
    expect(house.nodeOf(away).clients.size).toBe(0)
    expect(house.fleet.view.person('bob & <co>')).toBeUndefined()
  })

  test('on one server: the picture comes by itself, and the result stays the last message', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    await alice.sends(`/start srv_${server.id}`)
    await alice.seesScreen(/^Fleet › de-1/)
    await alice.taps('Add client')
    await alice.seesScreen('What is the client called?')
    await alice.sends('carl')
    await alice.seesScreen('Name: carl')
    await alice.taps('Create')
    const result = await alice.sees(/carl is added[^]*vless:/)
    await alice.until(() => (alice.messages().at(-2)?.photo === undefined ? undefined : true))
    const last = alice.messages().at(-1)
    expect(last?.text).toContain('carl is added')
    expect(last?.buttons).toEqual([['QR · de-1'], ['Open client'], ['‹ Home']])
    expect(alice.messages().filter(({ text }) => text.includes('carl is added'))).toHaveLength(1)
    expect(result.text).toContain('✅ de-1')
  })

  test('a double tap on Create starts one batch', async () => {
    const { alice } = house
    const [server] = await twoServers('main')
    await toSummary('bob')
    const { messageId, keyboard } = alice.screen()
    const create = keyboard.flat().find((button) => button.text === 'Create')
    const data = create !== undefined && 'callback_data' in create ? create.callback_data : ''
    await alice.tapsData(messageId, data)
    await alice.tapsData(messageId, data)
    await alice.waitsForAnswer()
    await alice.sees('Done on 2 of 2')
    expect(alice.toast()).toBeUndefined()
    expect(house.nodeOf(server).applied.filter(({ operation }) => operation === 'clients.add')).toHaveLength(
      1,
    )
  })

  test('goes on after the controller was killed in the middle, and a tap meanwhile is not lost', async () => {
    const { alice } = house
    await twoServers('main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends('carol')
    const before = await alice.seesScreen('On which servers?')
    await house.kill()
    await alice.taps('All servers')
    await house.revive()
    const summary = await alice.seesScreen('Name: carol')
    expect(summary.messageId).toBe(before.messageId)
    await house.kill()
    await alice.taps('Create')
    await house.revive()
    await alice.sees('Done on 2 of 2')
    expect(house.fleet.view.person('carol')?.placements).toHaveLength(2)
  })

  test('nothing a person typed stands in clear in the database', async () => {
    const { alice } = house
    await twoServers('main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends('very-secret-name')
    await alice.seesScreen('On which servers?')
    expect(house.bytesOnDisk().includes('very-secret-name')).toBe(false)
  })

  test('/cancel ends it; a command is never taken as an answer', async () => {
    const { alice } = house
    await twoServers('main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends('/cancel')
    await alice.seesScreen('of 3 online')
    await alice.sends('dave')
    await alice.seesScreen('nothing is being asked')
    expect(house.fleet.view.person('dave')).toBeUndefined()
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends('/help')
    await alice.seesScreen('/find anna')
    await alice.sends('dave')
    await alice.seesScreen('nothing is being asked')
  })
})

describe('beside a wizard', () => {
  test('an alert’s buttons work in the middle of it, and it goes on', async () => {
    const { alice } = house
    const [server] = await twoServers('main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    const wizard = alice.screen().messageId
    const payload = {
      serverId: server.id,
      serverName: server.name,
      state: 'offline' as const,
      reason: { code: 'SERVER_UNREACHABLE' as const, details: { reason: 'connection refused' } },
      since: Date.now(),
    }
    await house.bot.deliver({ kind: 'serverDown', payload, chat: '7', silent: false })
    await alice.taps('Check now')
    await alice.waitsForAnswer()
    await alice.seesScreen(/^Fleet › de-1/)
    expect(house.checked).toEqual([server.id])
    await alice.sends('erin')
    const next = await alice.sees('On which servers?')
    expect(next.messageId).toBe(wizard)
  })

  test('two admins in one group have a draft and a screen each', async () => {
    await twoServers('main')
    const bob = house.telegram.user({ id: 8, firstName: 'Bob', languageCode: 'en' })
    const group = house.telegram.group({ id: -100, title: 'Admins', members: [house.alice, bob] })
    const [a, b] = [house.alice.in(group), bob.in(group)]
    await a.sends('/add')
    const first = await a.sees('What is the client called?')
    await b.sends('/add')
    const second = await b.sees(
      (message) => message.messageId > first.messageId && message.text.includes('called'),
    )
    await a.sends('from-alice', { replyTo: first.messageId })
    await a.sees(
      (message) => message.messageId === first.messageId && message.text.includes('On which servers?'),
    )
    await b.sends('from-bob', { replyTo: second.messageId })
    await b.sees(
      (message) => message.messageId === second.messageId && message.text.includes('On which servers?'),
    )
    await b.tapsData(second.messageId, dataOf(second.messageId, b, 'All servers'))
    await b.sees('Name: from-bob')
    await a.tapsData(first.messageId, dataOf(first.messageId, a, 'All servers'))
    await a.sees('Name: from-alice')
    // A tap on the other one's question does nothing to either.
    await b.tapsData(first.messageId, dataOf(first.messageId, a, 'Create'))
    await b.waitsForAnswer()
    expect(house.fleet.view.totals().clients).toBe(0)
  })
})

function dataOf(messageId: number, who: Pick<BotHouse['alice'], 'messages'>, label: string): string {
  const message = who.messages().find((each) => each.messageId === messageId)
  const button = message?.keyboard.flat().find((each) => each.text === label)
  return button !== undefined && 'callback_data' in button ? button.callback_data : ''
}
