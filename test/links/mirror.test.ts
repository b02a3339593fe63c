import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { createLocalConnector } from '#src/connectors/local.ts'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { templateIds, templates } from '#src/fleet/templates.ts'
import { freePort } from '#test/support/client-process.ts'
import { alice, openFleetHouse } from '#test/support/fleet-house.ts'
import { labelOf, outboundOf } from '#test/support/parse-link.ts'
import { startTestNode } from '#test/support/test-node.ts'

const call = () => ({ idempotencyKey: randomUUID() })

test('the controller writes the links its servers write, of every kind, from its mirror alone', async () => {
  const it = await startTestNode({ host: 'de-1.example' })
  const house = await openFleetHouse({ connect: () => createLocalConnector(it.node.operations) })
  try {
    const { operations } = it.node
    const ann = clientInput.parse({ email: 'ann', uuid: randomUUID(), subscriptionId: randomUUID() })
    const answers = { target: 'site.example:443', domain: null, random: '0123456789abcdef' }
    for (const id of templateIds) {
      const made = inboundInput.parse(templates[id].make({ ...answers, tag: id, port: await freePort() }))
      if (made.stream.transport.type === 'hysteria') made.stream.transport.obfuscated = true
      await operations['inbounds.add']({ ...made, listen: '127.0.0.1' }, call())
      if (made.protocol !== 'tunnel') await operations['clients.add']({ id, clients: [ann] }, call())
    }
    const there = await operations['clients.update']({ email: 'ann', comment: 'x' }, call())

    const { id } = house.fleet.servers.create({ name: 'de-1', publicAddress: 'de-1.example' }, alice)
    house.fleet.noteJoined(id, 'https://de-1.example:8443')
    house.fleet.servers.report(id, { status: 'online' })
    await house.fleet.noteHealth(id, await operations['server.health'](undefined, {}))
    const client = house.fleet.view.clientByEmail(id, 'ann')
    const links = house.fleet.view.links(id, client?.id ?? 0)
    expect(links.map(({ tag }) => tag)).toEqual(templateIds.filter((name) => name !== 'tunnel'))
    // But for the name, in which the fleet says which server it is.
    expect(links.map(({ link }) => outboundOf(link))).toEqual(there.links.map(outboundOf))
    expect(links.map(({ link }) => labelOf(link))).toEqual(links.map(({ tag }) => `de-1-${tag}-ann`))
  } finally {
    await house.end()
    await it.stop()
  }
})
