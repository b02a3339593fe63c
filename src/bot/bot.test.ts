import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

describe('a fresh controller', () => {
  test('has one server, so home is that server and nothing asks which', async () => {
    const { alice } = house
    await alice.sends('/start')
    const screen = await alice.seesScreen('Default Local Server')
    expect(screen.text).toMatch(/^Default Local Server/)
    expect(screen.buttons.flat()).toContain('Add server')
    expect(screen.buttons.flat()).not.toContain('Servers')
    // Nor does what is typed.
    await alice.sends('/servers')
    await alice.seesScreen(
      (message) => message.messageId > screen.messageId && message.text.startsWith('Default'),
    )
  })

  test('adds a server: a command, a wait, and the server’s own screen when it has joined', async () => {
    const { alice } = house
    await alice.sends('/start')
    await alice.seesScreen('Default Local Server')
    await alice.taps('Add server')
    await alice.seesScreen('Step 1/2')
    await alice.sends('Default local server')
    await alice.seesScreen('in the fleet already')
    await alice.sends('de-<1>')
    await alice.seesScreen('Step 2/2')
    await alice.taps('Back')
    await alice.seesScreen('Step 1/2')
    await alice.sends('de-1')
    await alice.seesScreen('Where is de-1?')
    await alice.taps('Skip')
    const screen = await alice.seesScreen('Waiting for it to join')
    expect(screen.entities.some((entity) => entity.type === 'code')).toBe(true)
    expect(screen.text).toContain('It works once, for 15 minutes: its time is up')
    const server = house.fleet.servers.list().find((row) => row.name === 'de-1')
    expect(screen.text).toContain(`join ${server?.id} `)
    house.fleet.noteJoined(server?.id ?? 0, 'https://de-1.example:8443')
    const own = await alice.seesScreen((message) => message.buttons.flat().includes('Inbounds'))
    expect(own.text).toMatch(/^Fleet › de-1/)
    expect(own.messageId).toBe(screen.messageId)
    // What was typed is gone, and there is one live message.
    expect(
      alice
        .messages()
        .filter((message) => !message.fromBot)
        .map((message) => message.text),
    ).toEqual(['/start'])
    expect(alice.messages().filter((message) => message.buttons.length > 0)).toHaveLength(1)
  })
})

describe('screens', () => {
  test('every screen of a fleet can be reached, and leads back', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    await house.join('nl-1', 'main')
    house.fleet.servers.report(server.id, { status: 'offline', lastError: 'no answer' })
    await alice.sends('/start')
    const home = await alice.seesScreen('of 3 online')
    expect(home.text).toContain('🔴 de-1: offline')
    // Worst first; the local server has no node behind it here.
    expect(home.buttons[0]).toEqual(['🔴 de-1', '⚪ Default Local Server'])

    await alice.taps('Servers')
    const picker = await alice.seesScreen('Which server?')
    expect(picker.buttons[0]).toEqual(['All servers'])
    expect(picker.buttons.flat()).toContain('🟢 nl-1')
    await alice.taps('All servers')
    await alice.seesScreen('reachable now')
    await alice.taps('Servers')
    await alice.seesScreen('Which server?')
    await alice.taps('🟢 nl-1')
    await alice.seesScreen(/^Fleet › nl-1/)
    await alice.taps('Usage')
    await alice.seesScreen(/^Fleet › nl-1 › Usage/)
    await alice.taps('Back')
    await alice.seesScreen(/^Fleet › nl-1\n/)
    await alice.taps('Edit')
    await alice.seesScreen('What do you want to change?')
    await alice.taps('Notes')
    await alice.seesScreen('Send a note.')
    await alice.sends('a <note> & more')
    expect((await alice.seesScreen('What do you want to change?')).text).toContain('a <note> & more')
    await alice.taps('Address in links')
    await alice.seesScreen('nl-1.example')
    await alice.sends('http://nowhere')
    await alice.seesScreen('no host name')
    await alice.taps('Cancel')
    // Back where it was begun.
    await alice.seesScreen('What do you want to change?')
    await alice.taps('Back')
    await alice.seesScreen(/^Fleet › nl-1\n[^]*a <note> & more/)
    await alice.taps('Inbounds')
    await alice.seesScreen('1 inbound')
    await alice.taps('main')
    await alice.seesScreen('VLESS · TCP on port 8080')
    await alice.taps('Delete')
    await alice.seesScreen('No client uses it. This cannot be undone.')
    await alice.taps('Back')
    await alice.seesScreen('VLESS · TCP on port 8080')
    await alice.taps('Disable')
    await alice.seesScreen('Enable it again at any time.')
    await alice.taps('Disable')
    const off = await alice.seesScreen('Done.')
    expect(off.text).toMatch(/^Fleet › nl-1 › Inbounds › main\n\nInbound main is disabled\n/)
    await alice.taps('Open inbound')
    await alice.seesScreen('⏸ Disabled')
    await alice.taps('Back')
    await alice.seesScreen('1 inbound')
    await alice.taps('Back')
    await alice.seesScreen(/^Fleet › nl-1\n/)
    await alice.taps('Clients')
    const empty = await alice.seesScreen('No client yet.')
    expect(empty.buttons).toEqual([['Add client'], ['‹ Back']])
    await alice.taps('Back')
    await alice.seesScreen(/^Fleet › nl-1\n/)
    await alice.taps('Restart Xray')
    await alice.seesScreen('Restart Xray on nl-1?')
    await alice.taps('Restart Xray')
    await alice.seesScreen('Done.')
    await alice.sends('/help')
    await alice.seesScreen('/find anna')
    await alice.sends(`/start srv_${server.id}`)
    const away = await alice.seesScreen(/^Fleet › de-1/)
    expect(away.text).toContain('🔴 Offline')
    expect(house.log.join('\n')).not.toContain('could not be handled')
  })
})
