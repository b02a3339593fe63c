import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientInput, inboundInput } from '#src/contract/index.ts'
import { withExtras } from '#src/bot/wizards/extras.ts'
import { customChoices, customTemplate } from '#src/fleet/custom.ts'
import { freePort } from '#test/support/client-process.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { startTlsTarget } from '#test/support/tls-target.ts'

const call = () => ({ idempotencyKey: randomUUID() })

let site: Awaited<ReturnType<typeof startTlsTarget>>
let it: TestNode

beforeAll(async () => {
  site = await startTlsTarget('localhost')
  it = await startTestNode()
})
afterAll(async () => {
  await it.stop()
  await site.stop()
})

// Traffic through each of these is every-combination.test.ts's.
test.each(customChoices.map((choice) => [Object.values(choice).join(', '), choice] as const))(
  '%s: the chat makes an inbound that Xray opens, with a link',
  async (_name, choice) => {
    const { operations } = it.node
    const tag = `c-${randomBytes(4).toString('hex')}`
    const made = customTemplate(choice).make({
      tag,
      port: await freePort(),
      target: site.target.replace('127.0.0.1', 'localhost'),
      domain: null,
      random: randomBytes(8).toString('hex'),
    })
    await operations['inbounds.add']({ ...inboundInput.parse(made), listen: '127.0.0.1' }, call())
    const ann = clientInput.parse({ email: `ann ${tag}`, uuid: randomUUID(), subscriptionId: randomUUID() })
    const [client] = await operations['clients.add']({ id: tag, clients: [ann] }, call())
    expect(client?.links).toEqual([expect.stringMatching(/^[a-z0-9]+:\/\//)])
  },
)

test.each(['vless', 'trojan'] as const)('%s with a fallback, and without sniffing', async (kind) => {
  const tag = `${kind}-extras`
  const plain = customTemplate({ kind, transport: 'raw', security: 'tls' }).make({
    tag,
    port: await freePort(),
    target: '',
    domain: null,
    random: randomBytes(8).toString('hex'),
  })
  const made = withExtras(plain, { sniffing: false, fallback: '8080', wantsFallback: true })
  const added = await it.node.operations['inbounds.add'](
    { ...inboundInput.parse(made), listen: '127.0.0.1' },
    call(),
  )
  expect(added).toMatchObject({ settings: { fallbacks: [{ dest: 8080 }] }, sniffing: { enabled: false } })
})

test('and Xray starts with all of them', async () => {
  const { operations } = it.node
  expect(await operations['xray.restart']({}, call())).toMatchObject({ running: true })
  expect(await operations['inbounds.list'](undefined, {})).toHaveLength(customChoices.length + 2)
})
