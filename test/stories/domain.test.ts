import { connect } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLocalConnector } from '#src/connectors/local.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { type Pebble, startPebble } from '#test/support/pebble.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'

const domain = 'vpn.example.org'

let pebble: Pebble
let it: TestNode
let house: BotHouse

beforeAll(async () => {
  pebble = await startPebble()
  it = await startTestNode({ host: '127.0.0.1', node: { acme: pebble.settings } })
  const connector = createLocalConnector(it.node.operations)
  house = await openBotHouse({ connect: ({ name }) => (name === 'de-1' ? connector : undefined) })
  house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
})
afterAll(async () => {
  await house.end()
  await it.stop()
  await pebble.remove()
})

/** Who vouches for what is shown at a port to somebody who asks for the domain. */
async function shownAt(port: number): Promise<{ authorized: boolean; name: string | undefined }> {
  const socket = connect({ host: '127.0.0.1', port, servername: domain, ca: await pebble.root() })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve)
      socket.once('error', reject)
    })
    return { authorized: socket.authorized, name: socket.getPeerCertificate().subjectaltname }
  } finally {
    socket.destroy()
  }
}

test('from the chat to an inbound that a certificate authority vouches for', async () => {
  const { alice } = house
  const server = await house.join('de-1')
  const port = await freePort()
  await alice.sends(`/start srv_${server.id}`)
  await alice.seesScreen(/› de-1\n/)
  await alice.taps('Add inbound')
  await alice.seesScreen('How shall clients connect?')
  await alice.taps('Trojan + TLS')
  await alice.seesScreen('On which port?')
  await alice.sends(String(port))
  await alice.seesScreen('What is the inbound called?')
  await alice.sends('trojan')
  await alice.seesScreen('Which certificate')
  await alice.sends(domain)
  await alice.seesScreen(`de-1: no certificate for ${domain} yet, so one is got first`)
  await alice.taps('Create')
  await alice.seesScreen('Inbound trojan is added', { timeoutMs: 60_000 })
  expect(await shownAt(port)).toEqual({ authorized: true, name: `DNS:${domain}` })

  await alice.sends(`/start srv_${server.id}`)
  await alice.seesScreen(/› de-1\n/)
  await alice.taps('Certificates')
  await alice.seesScreen('1 certificate')
  await alice.taps((button) => button.text.includes(domain))
  const card = await alice.seesScreen('Renewed by itself')
  expect(card.text).toContain('From a certificate authority (')
  expect(card.text).toContain('Used by: trojan')
})

test('what the authority refuses is said in words', async () => {
  const { alice } = house
  const server = house.fleet.servers.list().find(({ name }) => name === 'de-1')
  await alice.sends(`/start srv_${server?.id ?? 0}`)
  await alice.seesScreen(/› de-1\n/)
  await alice.taps('Certificates')
  await alice.seesScreen('1 certificate')
  await alice.taps('Get a certificate')
  await alice.seesScreen('For which domain?')
  await alice.sends('blocked.example')
  await alice.seesScreen('Through which port?')
  await alice.taps('Through port 443')
  const result = await alice.seesScreen('did not work', { timeoutMs: 60_000 })
  expect(result.text).toContain('The certificate authority gives no certificate for blocked.example:')
})
