/** A node that comes back to an Xray that ran on: what its rows say now, and nothing else, becomes of each protocol. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Inbound, clientInput, inboundInput } from '#src/contract/index.ts'
import { shareLink } from '#src/xray/config/links.ts'
import { mapLimited } from '#src/xray/api/concurrency.ts'
import { freePort } from '#test/support/client-process.ts'
import { listeningSockets } from '#test/support/listening-socket.ts'
import { outboundOf } from '#test/support/parse-link.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { type WebTarget, startWebTarget } from '#test/support/web-target.ts'
import { startXrayApps } from '#test/support/xray-apps.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import type { ClientRecord } from './rows/records.ts'
import type { Rows } from './rows/rows.ts'

const call = () => ({ idempotencyKey: randomUUID() })
const plain = { transport: { type: 'raw' }, security: { type: 'none' } }
const tls = { type: 'tls', serverName: 'vpn.example' }

const kinds = {
  vless: { protocol: 'vless', stream: plain },
  vmess: { protocol: 'vmess', stream: plain },
  trojan: { protocol: 'trojan', stream: plain },
  shadowsocks: { protocol: 'shadowsocks', settings: { method: 'aes-256-gcm' } },
  'shadowsocks-2022': { protocol: 'shadowsocks' },
  hysteria2: { protocol: 'hysteria2', stream: { transport: { type: 'hysteria' }, security: tls } },
  mixed: { protocol: 'mixed' },
  wireguard: { protocol: 'wireguard' },
}
type Kind = keyof typeof kinds
const names = Object.keys(kinds) as Kind[]
/** Their users are told with the inbound, so it must be opened anew for them. */
const fixed = new Set<Kind>(['mixed', 'wireguard'])

let it: TestNode
let web: WebTarget
const inbounds = new Map<Kind, Inbound>()
/** By kind and client: the links there were, and those of the rows as they became. */
const links = new Map<string, string>()

const emailOf = (kind: Kind, who: string): string => `${who} of ${kind}`
const pid = async (): Promise<number> => (await it.node.operations['xray.start'](undefined, call())).pid ?? 0
const socketsOf = async (port: number): Promise<string[]> => listeningSockets(await pid(), port)
const sockets = (kind: Kind): Promise<string[]> => socketsOf(inbounds.get(kind)?.port ?? 0)
const allSockets = async (): Promise<Map<Kind, string[]>> =>
  new Map(await Promise.all(names.map(async (kind) => [kind, await sockets(kind)] as const)))

function linkFrom(rows: Rows, kind: Kind, who: string): string {
  const inbound = rows.inboundByTag(kind)
  const client = rows.clientByEmail(emailOf(kind, who))
  if (inbound === undefined || client === undefined) throw new Error(`${kind} or ${who} is gone`)
  return shareLink({ inbound, client, host: '127.0.0.1' }) ?? ''
}

function changeRows(rows: Rows): void {
  for (const kind of names) {
    const find = (who: string): ClientRecord => {
      const row = rows.clientByEmail(emailOf(kind, who))
      if (row === undefined) throw new Error(`${who} is gone`)
      return row
    }
    rows.removeClient(find('gone').id, 1_000)
    rows.saveClient({ ...find('closed'), enabled: false })
    const uuid = randomUUID()
    rows.saveClient({ ...find('changed'), uuid, password: uuid })
    links.set(`${kind} changed`, linkFrom(rows, kind, 'changed'))
    const stays = find('stays')
    rows.addClient({ ...stays, id: stays.id + 10_000, email: emailOf(kind, 'late'), uuid: randomUUID() })
    rows.saveClient({ ...find('late'), password: randomUUID() })
    links.set(`${kind} late`, linkFrom(rows, kind, 'late'))
  }
}

/**
 * Who of them gets the page now. A program for each client of an inbound: by Hysteria, one program has one connection
 * to a server, whoever of its users was first.
 */
async function whoGetsIn(): Promise<string[]> {
  const byClient = Map.groupBy(links, ([name]) => name.slice(name.indexOf(' ')))
  const answers = await mapLimited([...byClient.values()], 2, async (theirs) => {
    const outbounds = theirs.map(([name, link]) => [name, outboundOf(link)] as const)
    const apps = await startXrayApps(xrayBinary(), new Map(outbounds))
    try {
      const pages = theirs.map(async ([name]) => {
        const host = name.startsWith('wireguard') ? { host: '198.51.100.1' } : {}
        const body = await apps.get(name, web.pageUrl, { ms: 8_000, ...host }).catch(() => '')
        return body === web.pageText ? [name] : []
      })
      return (await Promise.all(pages)).flat()
    } finally {
      await apps.stop()
    }
  })
  return answers.flat()
}

const everyone = (...who: string[]): string[] =>
  names.flatMap((kind) => who.map((each) => `${kind} ${each}`)).toSorted()

beforeAll(async () => {
  it = await startTestNode()
  web = await startWebTarget()
  for (const kind of names) {
    const input = inboundInput.parse({
      ...kinds[kind],
      tag: kind,
      port: await freePort(),
      listen: '127.0.0.1',
    })
    inbounds.set(kind, await it.node.operations['inbounds.add'](input, call()))
    const people = ['stays', 'gone', 'closed', 'changed'].map((who) =>
      clientInput.parse({ email: emailOf(kind, who), uuid: randomUUID(), subscriptionId: randomUUID() }),
    )
    const added = await it.node.operations['clients.add']({ id: kind, clients: people }, call())
    const [stays = '', gone = '', closed = '', changed = ''] = added.map((client) => client.links[0])
    links.set(`${kind} stays`, stays)
    links.set(`${kind} gone`, gone)
    links.set(`${kind} closed`, closed)
    links.set(`${kind} as it was`, changed)
  }
}, 60_000)

afterAll(async () => {
  await it.stop()
  await web.stop()
})

describe('a node that comes back', () => {
  test('leaves everything as it is when nothing has changed', async () => {
    expect((await whoGetsIn()).toSorted()).toEqual(everyone('stays', 'gone', 'closed', 'as it was'))
    const before = [await pid(), await allSockets()]
    await it.restart()
    expect([await pid(), await allSockets()]).toEqual(before)
  })

  test('brings users of every protocol in line with its rows, and opens nothing anew for it that need not be', async () => {
    const xray = await pid()
    const before = await allSockets()
    await it.restart(changeRows)
    expect((await whoGetsIn()).toSorted()).toEqual(everyone('stays', 'changed', 'late'))
    expect(await pid()).toBe(xray)
    const after = await allSockets()
    for (const kind of names) {
      const isSame = JSON.stringify(after.get(kind)) === JSON.stringify(before.get(kind))
      expect({ kind, isSame }).toEqual({ kind, isSame: !fixed.has(kind) })
    }
  })

  test('opens, closes and moves inbounds as its rows have it', async () => {
    const xray = await pid()
    const port = await freePort()
    const before = await allSockets()
    await it.restart((rows) => {
      const row = (kind: Kind) => {
        const inbound = rows.inbound(inbounds.get(kind)?.id ?? 0)
        if (inbound === undefined) throw new Error(`${kind} is gone`)
        return inbound
      }
      rows.saveInbound({ ...row('vmess'), enabled: false })
      rows.saveInbound({ ...row('trojan'), port })
      rows.removeInbound(row('shadowsocks').id, 1_001)
    })
    expect(await pid()).toBe(xray)
    for (const kind of ['vmess', 'trojan', 'shadowsocks'] as const) expect(await sockets(kind)).toEqual([])
    expect(await socketsOf(port)).toHaveLength(1)
    for (const kind of ['vless', 'hysteria2', 'mixed', 'wireguard', 'shadowsocks-2022'] as const) {
      expect(await sockets(kind), kind).toEqual(before.get(kind))
    }
  })

  test('gives a new Xray all of it', async () => {
    const xray = await pid()
    await it.node.operations['xray.restart'](undefined, call())
    expect(await pid()).not.toBe(xray)
    const closed = new Set(['vmess', 'trojan', 'shadowsocks'])
    const open = everyone('stays', 'changed', 'late').filter((name) => !closed.has(name.split(' ')[0] ?? ''))
    expect((await whoGetsIn()).toSorted()).toEqual(open)
  })
})
