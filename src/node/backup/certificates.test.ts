/** Certificates in a backup: whatever is put back, links open the inbounds that show them, with a real Xray. */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { inboundInput } from '#src/contract/index.ts'
import { backupOf, restoreTo } from '#test/support/backup-files.ts'
import { person } from '#test/support/inputs.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { type WebTarget, fetchPage, freePort, startWebTarget } from '#test/support/xray-client.ts'

const domain = 'vpn.example.org'
const key = () => ({ idempotencyKey: randomUUID() })

let it: TestNode
let web: WebTarget
beforeEach(async () => {
  ;[it, web] = await Promise.all([startTestNode(), startWebTarget()])
})
afterEach(() => Promise.all([it.stop(), web.stop()]))

const generate = () =>
  it.node.operations['certificates.generate']({ domain, method: 'self-signed', days: 30 }, key())
const held = () => it.node.operations['certificates.list'](undefined, {})
const fetchThrough = (link: string) => fetchPage(link, web.pageUrl)

/** An inbound that shows the certificate, and the link of its client. */
async function addShowing(): Promise<string> {
  const security = { type: 'tls', serverName: domain, certificate: { source: 'store', domain } }
  const stream = { transport: { type: 'raw' }, security }
  const port = await freePort()
  const input = inboundInput.parse({ tag: 'in-1', protocol: 'vless', port, listen: '127.0.0.1', stream })
  await it.node.operations['inbounds.add'](input, key())
  await it.node.operations['clients.add']({ id: 'in-1', clients: [person('anna')] }, key())
  return linkNow()
}
async function linkNow(): Promise<string> {
  const comment = randomUUID()
  return (await it.node.operations['clients.update']({ email: 'anna', comment }, key())).links[0] ?? ''
}

test('a new machine has the certificate of its inbounds, and the old link opens one', async () => {
  const { sha256 } = await generate()
  const link = await addShowing()
  const file = await backupOf(it.node)
  await it.stop()
  it = await startTestNode()
  expect(await restoreTo(it.node, file)).toMatchObject({ inbounds: { restored: 1 } })
  expect(await held()).toMatchObject([{ domain, sha256 }])
  expect(await fetchThrough(link)).toBe(web.pageText)
  await it.restart()
  expect(await fetchThrough(link)).toBe(web.pageText)
})

test('a certificate that was replaced since stays, and links pin the one that is shown', async () => {
  await generate()
  await addShowing()
  const file = await backupOf(it.node)
  const { sha256 } = await generate()
  const link = await linkNow()
  await restoreTo(it.node, file)
  expect(await held()).toMatchObject([{ sha256 }])
  expect(await linkNow()).toBe(link)
  expect(await fetchThrough(link)).toBe(web.pageText)
})

test('one of the backup that is newer takes the place of what is here, and is shown at once', async () => {
  await generate()
  await addShowing()
  const older = await backupOf(it.node)
  const { sha256 } = await generate()
  const link = await linkNow()
  const newer = await backupOf(it.node)
  await it.stop()
  it = await startTestNode()
  await restoreTo(it.node, older)
  await expect(fetchThrough(link)).rejects.toThrow()
  await restoreTo(it.node, newer)
  expect(await held()).toMatchObject([{ sha256 }])
  expect(await fetchThrough(link)).toBe(web.pageText)
})

test('a certificate that was deleted since stays deleted, and an inbound that needs it says so', async () => {
  await generate()
  await addShowing()
  const file = await backupOf(it.node)
  const { operations } = it.node
  await operations['inbounds.delete']({ id: 'in-1' }, key())
  await operations['certificates.delete']({ domain }, key())
  expect((await restoreTo(it.node, file)).certificates).toMatchObject({
    deleted: 1,
    names: { deleted: [domain] },
  })
  expect(await held()).toEqual([])
  const later = await backupOf(it.node)
  await it.stop()

  // A new machine knows it from a backup from after that, or from the journal, and else from nobody.
  it = await startTestNode()
  await restoreTo(it.node, later)
  expect((await restoreTo(it.node, file)).certificates?.deleted).toBe(1)
  expect(await held()).toEqual([])
  await it.stop()
  it = await startTestNode()
  const deleted = { clients: [], inbounds: [], certificates: [{ domain }] }
  await expect(restoreTo(it.node, file, { deleted })).rejects.toMatchObject({
    code: 'CERTIFICATE_NOT_FOUND',
    details: { domain },
  })
  const made = await generate()
  expect(await restoreTo(it.node, file, { deleted })).toMatchObject({
    inbounds: { restored: 1 },
    certificates: { taken: 1, kept: 0 },
  })
  expect(await held()).toEqual([made])
  expect(await fetchThrough(await linkNow())).toBe(web.pageText)
})

test('a name that was given up and given again is another certificate', async () => {
  const old = await generate()
  await it.node.operations['certificates.delete']({ domain }, key())
  const made = await generate()
  const file = await backupOf(it.node)
  await it.stop()
  it = await startTestNode()
  const at = made.createdAt
  expect(old.createdAt).toBeLessThan(at)
  const deleted = { clients: [], inbounds: [], certificates: [{ domain, at }] }
  expect((await restoreTo(it.node, file, { deleted })).certificates?.restored).toBe(1)
  expect(await held()).toEqual([made])
})
