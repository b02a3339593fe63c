import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { openBotHouse, type BotHouse } from '#test/support/bot-house.ts'

let house: BotHouse
const actor = { kind: 'system' as const, id: 'test' }

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, actor)
})
afterEach(() => house.end())

const offline = ({ id, name }: Server) => ({
  serverId: id,
  serverName: name,
  state: 'offline' as const,
  reason: { code: 'SERVER_UNREACHABLE' as const, details: { reason: 'connection refused' } },
  since: Date.now(),
})

/** What stands behind a button of the screen. */
function dataOf(label: string): { messageId: number; data: string } {
  const { messageId, keyboard } = house.alice.screen()
  const found = keyboard.flat().find((button) => button.text === label)
  return { messageId, data: found !== undefined && 'callback_data' in found ? found.callback_data : '' }
}

describe('an open form', () => {
  test('says what it takes, where text is typed and there is only something to tap', async () => {
    const { alice } = house
    await house.join('de-1', 'main')
    await alice.sends('/inbound')
    await alice.seesScreen('How shall clients connect?')
    await alice.sends('reality please')
    await alice.seesScreen('⚠️ Please tap one of the buttons.')
    await alice.taps('Shadowsocks 2022')
    const next = await alice.seesScreen('On which port?')
    expect(next.text).not.toContain('⚠️')
  })

  test('a double tap does what one does, and says nothing', async () => {
    const { alice } = house
    await house.join('de-1', 'main')
    await house.join('nl-1', 'main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends('anna')
    await alice.seesScreen('On which servers?')
    const { messageId, data } = dataOf('☐ 🟢 de-1')
    await alice.tapsData(messageId, data)
    await alice.tapsData(messageId, data)
    await alice.waitsForAnswer()
    const screen = await alice.seesScreen((message) => message.buttons.flat().includes('☑ 🟢 de-1'))
    expect(screen.text).toContain('On which servers?')
    expect(alice.toast()).toBeUndefined()
  })

  test('a button of it that stands on another message is said to be old', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    const { data } = dataOf('Cancel')
    await house.bot.deliver({ kind: 'serverDown', payload: offline(server), chat: '7', silent: false })
    const { messageId } = await alice.sees('de-1 is offline')
    await alice.sends('anna')
    await alice.sees('On which servers?')
    await alice.tapsData(messageId, data)
    await alice.waitsForAnswer()
    expect(alice.toast()).toContain('earlier screen')
  })
})

test('Check now answers at once, however long the check takes, and others are not kept waiting', async () => {
  const { alice } = house
  const server = await house.join('de-1', 'main')
  house.fleet.servers.report(server.id, { status: 'offline' })
  let finish: () => void = () => undefined
  house.checking = () => new Promise((resolve) => void (finish = resolve))
  await alice.sends('/start')
  await alice.seesScreen('0 of 2 online')
  await house.bot.deliver({ kind: 'serverDown', payload: offline(server), chat: '7', silent: false })
  await alice.taps('Check now')
  await alice.waitsForAnswer()
  expect(alice.toast()).toContain('Checking')
  await alice.seesScreen(/› de-1\n[^]*Offline/)
  await alice.taps('Inbounds')
  await alice.seesScreen('1 inbound')
  await alice.taps('Back')
  await alice.seesScreen(/› de-1\n[^]*Offline/)
  house.fleet.servers.report(server.id, { status: 'online' })
  finish()
  await alice.seesScreen(/› de-1\n[^]*Online/)
})
