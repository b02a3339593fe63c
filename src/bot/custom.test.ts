import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse
let server: Server

beforeEach(async () => {
  house = await openBotHouse()
  server = await house.join('de-1')
})
afterEach(() => house.end())

const made = () => [...house.nodeOf(server).inbounds.values()][0]

async function begins(): Promise<void> {
  const { alice } = house
  await alice.sends(`/start srv_${server.id}`)
  await alice.seesScreen(/› de-1\n/)
  await alice.taps('Add inbound')
  await alice.seesScreen('How shall clients connect?')
}

async function beginsCustom(): Promise<void> {
  const { alice } = house
  await begins()
  await alice.taps('More…')
  await alice.seesScreen('protocol, transport and encryption one by one')
  await alice.taps('Custom…')
  await alice.seesScreen('Which protocol?')
}

test('protocol, transport and encryption one by one, with sniffing off', async () => {
  const { alice } = house
  await beginsCustom()
  await alice.taps('VMess')
  await alice.seesScreen('What carries it?')
  await alice.taps('HTTPUpgrade')
  const which = await alice.seesScreen('What encrypts it?')
  // REALITY does not go with HTTPUpgrade, so it is not offered.
  expect(which.buttons.flat().slice(0, -2)).toEqual(['TLS', 'Not encrypted'])
  await alice.taps('TLS')
  await alice.seesScreen('On which port?')
  await alice.taps('443')
  await alice.seesScreen('What is the inbound called?')
  await alice.taps('vmess-httpupgrade-443')
  await alice.seesScreen('Which certificate')
  await alice.taps('Its own')
  await alice.seesScreen('VMess · HTTPUpgrade · TLS')
  await alice.taps('☑ Sniffing')
  await alice.seesScreen((screen) => screen.buttons.flat().join().includes('☐ Sniffing'))
  expect(alice.screen().buttons.flat()).not.toContain('Set a fallback')
  await alice.taps('Create')
  await alice.seesScreen('is added')
  expect(made()).toMatchObject({
    protocol: 'vmess',
    sniffing: { enabled: false, destOverride: [] },
    stream: { transport: { type: 'httpupgrade' }, security: { type: 'tls' } },
  })
})

test('where there is one encryption only, it is not asked for; Back leads through the questions', async () => {
  const { alice } = house
  await beginsCustom()
  await alice.taps('Hysteria 2')
  await alice.seesScreen('What carries it?')
  await alice.taps('QUIC, obfuscated')
  await alice.seesScreen('On which port?')
  await alice.taps('Back')
  await alice.seesScreen('What carries it?')
  await alice.taps('Back')
  await alice.seesScreen('Which protocol?')
  await alice.taps('Shadowsocks')
  await alice.seesScreen('What carries it?')
  await alice.taps('TCP')
  await alice.seesScreen('What encrypts it?')
  await alice.taps('Not encrypted')
  await alice.seesScreen('On which port?')
  await alice.sends('8388')
  await alice.seesScreen('What is the inbound called?')
  await alice.taps('shadowsocks-8388')
  await alice.seesScreen('Shadowsocks · TCP · Not encrypted')
  await alice.taps('Create')
  await alice.seesScreen('is added')
  expect(made()).toMatchObject({ protocol: 'shadowsocks', settings: { method: 'chacha20-ietf-poly1305' } })
})

test('a fallback, where the protocol has one', async () => {
  const { alice } = house
  await begins()
  await alice.taps('Trojan + TLS')
  await alice.seesScreen('On which port?')
  await alice.taps('443')
  await alice.seesScreen('What is the inbound called?')
  await alice.taps('trojan-443')
  await alice.seesScreen('Which certificate')
  await alice.taps('Its own')
  await alice.seesScreen('Certificate: its own')
  await alice.taps('Set a fallback')
  await alice.seesScreen('Where shall connections go')
  await alice.sends('70000')
  await alice.seesScreen('That is no port')
  await alice.taps('No fallback')
  await alice.seesScreen('Certificate: its own')
  await alice.taps('Back')
  await alice.seesScreen('Where shall connections go')
  await alice.sends('8080')
  await alice.seesScreen('Fallback: 8080')
  await alice.taps('Create')
  await alice.seesScreen('is added')
  expect(made()).toMatchObject({ protocol: 'trojan', settings: { fallbacks: [{ dest: 8080 }] } })
})
