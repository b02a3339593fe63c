import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeTap } from './callback-data.ts'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { asksForTrojanEverywhere } from '#test/support/chat.ts'

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
  house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
})
afterEach(() => house.end())

async function opensCertificates(server: number): Promise<void> {
  const { alice } = house
  await alice.sends(`/start srv_${server}`)
  await alice.seesScreen(/› de-1\n/)
  await alice.taps('Certificates')
  await alice.seesScreen(/› Certificates\n/)
}

/** From the certificates of a server: a domain, then port 80. */
async function gets(domain: string): Promise<void> {
  const { alice } = house
  await alice.taps('Get a certificate')
  await alice.seesScreen('For which domain?')
  await alice.sends(domain)
  await alice.seesScreen(`${domain} must lead to de-1.example`)
  await alice.taps('Through port 80')
}

describe('the certificates of a server', () => {
  test('one is got, looked at, renewed and deleted', async () => {
    const { alice } = house
    const server = await house.join('de-1', 'main')
    const { certificates } = house.nodeOf(server)
    await opensCertificates(server.id)
    await alice.seesScreen('No certificate yet')
    await alice.taps('Get a certificate')
    await alice.seesScreen('For which domain?')
    await alice.sends('https://vpn.example.com')
    await alice.seesScreen('That is no full name')
    await alice.taps('Cancel')
    await alice.seesScreen('No certificate yet')
    await gets('VPN.example.com'.toLowerCase())
    await alice.seesScreen('The certificate for vpn.example.com is there')
    expect(certificates.get('vpn.example.com')).toMatchObject({ challenge: 'http-01' })
    await alice.taps('Certificates')
    const list = await alice.seesScreen('1 certificate')
    expect(list.text).toContain('• vpn.example.com: from a certificate authority')
    expect(list.buttons[0]).toEqual(['✅ vpn.example.com · 89 days left'])
    await alice.taps('✅ vpn.example.com · 89 days left')
    const card = await alice.seesScreen('Paper Authority')
    expect(card.text).toContain('Renewed by itself, next')
    expect(card.text).toContain('No inbound uses it.')
    const before = certificates.get('vpn.example.com')
    await alice.taps('Renew now')
    await alice.seesScreen('The certificate for vpn.example.com is renewed')
    expect(certificates.get('vpn.example.com')).not.toBe(before)
    await alice.taps('Certificates')
    await alice.seesScreen('1 certificate')
    await alice.taps('✅ vpn.example.com · 89 days left')
    await alice.seesScreen('Paper Authority')
    await alice.taps('Delete')
    await alice.seesScreen('Delete the certificate for vpn.example.com on de-1?')
    await alice.taps('Delete')
    await alice.seesScreen('The certificate for vpn.example.com is deleted')
    expect(certificates.size).toBe(0)
  })

  test('why none was given is said in words, and Retry asks again', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    const node = house.nodeOf(server)
    node.refuseOrders('ACME_REFUSED', { domain: 'vpn.example.com', reason: 'the name leads to 192.0.2.9' })
    await opensCertificates(server.id)
    await gets('vpn.example.com')
    const result = await alice.seesScreen('did not work')
    expect(result.text).toContain('the name leads to 192.0.2.9')
    node.refuseOrders()
    await alice.taps('Retry failed')
    await alice.seesScreen('The certificate for vpn.example.com is there')
  })

  test('an inbound on the port is named, and one in use is not to be deleted', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    const node = house.nodeOf(server)
    const tls = {
      type: 'tls' as const,
      serverName: 'vpn.example.com',
      certificate: { source: 'store' as const, domain: 'vpn.example.com' },
    }
    const actor = { kind: 'system' as const, id: 'test' }
    await (
      await house.fleet.tasks.run({
        operation: 'inbounds.add',
        before: {
          operation: 'certificates.generate',
          targets: [{ serverId: server.id, input: { domain: 'vpn.example.com', method: 'http-01' } }],
        },
        targets: [
          {
            serverId: server.id,
            input: {
              tag: 'web',
              port: 80,
              protocol: 'vless',
              stream: { transport: { type: 'raw' }, security: tls },
            },
          },
        ],
        actor,
      })
    ).settled
    expect(node.applied.map(({ operation }) => operation)).toEqual(['certificates.generate', 'inbounds.add'])
    await opensCertificates(server.id)
    await alice.taps('✅ vpn.example.com · 89 days left')
    const card = await alice.seesScreen('Used by: web')
    expect(card.buttons.flat()).not.toContain('Delete')
    await alice.taps('Back')
    await alice.seesScreen('1 certificate')
    await alice.taps('Get a certificate')
    await alice.seesScreen('For which domain?')
    await alice.sends('two.example.com')
    await alice.seesScreen('Port 80 is used by the inbound web')
    await alice.taps('Through port 443')
    await alice.seesScreen('The certificate for two.example.com is there')
    expect(node.certificates.get('two.example.com')).toMatchObject({ challenge: 'tls-alpn-01' })
  })

  test('a server that does not answer, or is disabled: the screen says so, and begins nothing there', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    house.nodeOf(server).offline = true
    await opensCertificates(server.id)
    const away = await alice.seesScreen('The server does not answer now')
    expect(away.buttons).toEqual([['‹ Back', 'Refresh']])
    house.fleet.servers.setEnabled(server.id, false, { kind: 'system', id: 'test' })
    await alice.taps('Refresh')
    await alice.seesScreen('This server is disabled in fleetgram.')
    await alice.taps('Back')
    await alice.seesScreen('⏸ Disabled')
    await alice.taps('Usage')
    await alice.seesScreen(/› Usage\n\nThis server is disabled in fleetgram\./)
  })

  test('while one is got, the chat says that it may take long', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    const release = house.nodeOf(server).hold()
    await house.fleet.tasks.run({
      operation: 'certificates.generate',
      targets: [{ serverId: server.id, input: { domain: 'vpn.example.com', method: 'http-01' } }],
      actor: { kind: 'system', id: 'test' },
      id: 'slow',
    })
    await alice.sends('/start')
    const { messageId } = await alice.seesScreen('online')
    await alice.tapsData(messageId, encodeTap('batch', { batch: 'slow' }))
    await alice.seesScreen('Working…\nA certificate may take a minute or two.')
    release()
    const done = await alice.seesScreen('The certificate for vpn.example.com is there')
    expect(done.text).not.toContain('may take')
  })
})

describe('an inbound for a domain', () => {
  async function toSummary(domain: string): Promise<void> {
    const { alice } = house
    await asksForTrojanEverywhere(alice, domain)
    await alice.seesScreen(`Certificate: ${domain}`)
  }

  test('whose certificate only one of two servers holds: it is got on the other, then the inbound is added', async () => {
    const { alice } = house
    const [has, lacks] = [await house.join('de-1'), await house.join('nl-1')]
    await opensCertificates(has.id)
    await gets('vpn.example.com')
    await alice.seesScreen('is there')
    await toSummary('vpn.example.com')
    const summary = await alice.seesScreen(
      'nl-1: no certificate for vpn.example.com yet, so one is got first',
    )
    expect(summary.text).not.toContain('de-1: no certificate')
    await alice.taps('Create')
    const result = await alice.seesScreen('Inbound trojan-443 is added')
    expect(result.text).toContain('✅ nl-1 · vpn.example.com')
    expect(result.text).toContain('✅ nl-1 · trojan-443')
    // Servers are counted, not what is done to them.
    expect(result.text).toContain('Done on 2 of 2.')
    expect(house.nodeOf(lacks).applied.map(({ operation }) => operation)).toEqual([
      'certificates.generate',
      'inbounds.add',
    ])
    expect(house.nodeOf(has).inbounds.size).toBe(1)
  })

  test('that no authority vouches for is not added, says why, and Retry does both', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    const node = house.nodeOf(server)
    node.refuseOrders('CHALLENGE_PORT_TAKEN', { domain: 'vpn.example.com', port: 80, reason: 'nginx has it' })
    await toSummary('vpn.example.com')
    await alice.taps('Create')
    const result = await alice.seesScreen('failed: 1')
    expect(result.text).toContain('nginx has it')
    // The reason is said once.
    expect(result.text).toContain(
      '❌ de-1 · trojan-443: not done, since the certificate is missing\n\nfailed: 1',
    )
    node.refuseOrders()
    await alice.taps('Retry failed')
    const retried = await alice.seesScreen('Inbound trojan-443 is added')
    expect(retried.text).toMatch(/\nDone\.$/)
    expect(node.inbounds.size).toBe(1)
  })

  test('on a server that does not answer: the summary says what is not known', async () => {
    const { alice } = house
    const server = await house.join('de-1')
    house.nodeOf(server).offline = true
    await toSummary('vpn.example.com')
    await alice.seesScreen('de-1: does not answer now.')
  })
})
