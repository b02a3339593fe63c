import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Server } from '#src/fleet/types.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { asksForTrojanEverywhere } from '#test/support/chat.ts'

const DOMAIN = 'vpn.example.com'

let house: BotHouse
let [de, nl]: Server[] = []

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
  de = await house.join('de-1')
  nl = await house.join('nl-1')
  house.fleet.servers.edit(de.id, { publicAddress: '198.51.100.4' }, { kind: 'system', id: 'test' })
  house.fleet.servers.edit(nl.id, { publicAddress: '198.51.100.5' }, { kind: 'system', id: 'test' })
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

/** From the screen of de-1 to the form that says where the domain must lead. */
async function asksForCertificate(): Promise<void> {
  const { alice } = house
  await alice.sends(`/start srv_${de?.id}`)
  await alice.seesScreen(/^Fleet › de-1\n/)
  await alice.taps('Certificates')
  await alice.seesScreen('No certificate yet')
  await alice.taps('Get a certificate')
  await alice.seesScreen('For which domain?')
  await alice.sends(DOMAIN)
}

test('a domain that does not lead to the server yet: the form says so, looks again, and goes on where it is told to', async () => {
  const { alice } = house
  house.lookUp = () => Promise.resolve([])
  await asksForCertificate()
  const nowhere = await alice.seesScreen(`⚠️ ${DOMAIN} leads nowhere yet`)
  expect(nowhere.text).toContain(`${DOMAIN} must lead to 198.51.100.4.`)
  house.lookUp = () => Promise.resolve(['203.0.113.9'])
  await alice.taps('Look again')
  const warned = await alice.seesScreen(`⚠️ ${DOMAIN} leads to 203.0.113.9, and this server is 198.51.100.4.`)
  expect(warned.buttons).toContainEqual(['Through port 80'])
  house.lookUp = () => Promise.resolve(['198.51.100.4'])
  await alice.taps('Look again')
  const led = await alice.seesScreen(`${DOMAIN} must lead to 198.51.100.4. ✅`)
  expect(led.buttons.flat()).not.toContain('Look again')
  house.lookUp = () => Promise.resolve(['203.0.113.9'])
  await alice.taps('Back')
  await alice.seesScreen('For which domain?')
  await alice.sends(DOMAIN)
  await alice.seesScreen('leads to 203.0.113.9')
  await alice.taps('Through port 80')
  await alice.seesScreen(`The certificate for ${DOMAIN} is there`)
})

test('where nobody says in time where it leads, nothing is claimed, and nobody waits for long', async () => {
  const { alice } = house
  house.lookUp = () => new Promise(() => undefined)
  await asksForCertificate()
  const form = await alice.seesScreen(`${DOMAIN} must lead to`, { timeoutMs: 3_000 })
  expect(form.text).not.toContain('⚠️')
  expect(form.text).not.toContain('✅')
})

test('an inbound on two servers for one domain: the summary names the server that it does not lead to', async () => {
  const { alice } = house
  house.lookUp = () => Promise.resolve(['198.51.100.4'])
  await asksForTrojanEverywhere(alice, DOMAIN)
  await alice.seesScreen(`⚠️ ${DOMAIN} does not lead to nl-1: there it would be refused`)
  await alice.taps('Back')
  await alice.seesScreen('On which servers?')
  await alice.taps('☐ 🟢 nl-1')
  await alice.seesScreen((screen) => screen.buttons.flat().includes('Continue (1)'))
  await alice.taps('Continue (1)')
  await alice.seesScreen(`⚠️ ${DOMAIN} leads to 198.51.100.4, and this server is 198.51.100.5.`)
})
