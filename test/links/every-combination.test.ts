import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Changes, type Inbound, clientInput } from '#src/contract/index.ts'
import { countsUsers } from '#src/xray/config/account.ts'
import { mapLimited } from '#src/xray/api/concurrency.ts'
import { freePort } from '#test/support/client-process.ts'
import { type Combination, allCombinations, impostor } from '#test/support/link-table.ts'
import { outboundOf } from '#test/support/parse-link.ts'
import type { Outbound } from '#test/support/parse-link-stream.ts'
import { type TestNode, startTestNode } from '#test/support/test-node.ts'
import { startTlsTarget } from '#test/support/tls-target.ts'
import { type WebTarget, startWebTarget } from '#test/support/web-target.ts'
import { startXrayApps } from '#test/support/xray-apps.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'

interface Made extends Combination {
  node: TestNode
  inbound: Inbound
  email: string
  clientId: number | undefined
  link: string | undefined
}

/** By what is asked for it can be told, on the far side, whose request has come through. */
type Round = 'own' | 'impostor' | 'deleted'
type Answers = ReadonlyMap<string, string>

const call = () => ({ idempotencyKey: randomUUID() })
const pageOf = (round: Round, name: string): string => `/${round}/${encodeURIComponent(name)}`
const allNames = allCombinations('127.0.0.1:1', '127.0.0.1:1')
const allowed = allNames.filter(({ mismatch }) => mismatch === null).map(({ name }) => name)

let site: Awaited<ReturnType<typeof startTlsTarget>>
let web: WebTarget
/** Where Xray counts users, and where it counts inbounds as well: it cannot do both beside Hysteria. */
let ofUsers: TestNode
let ofInbounds: TestNode
const made = new Map<string, Made>()
const ports = new Set<number>()
const isAmongInbounds = ({ name, protocol }: Combination): boolean =>
  !countsUsers(protocol) || name === 'vless, raw, none'

/** A port that listens for UDP alone is free for TCP, and could be drawn again. */
async function portForOne(): Promise<number> {
  const port = await freePort()
  if (ports.has(port)) return portForOne()
  ports.add(port)
  return port
}

async function make(each: Combination, index: number): Promise<Made> {
  const node = isAmongInbounds(each) ? ofInbounds : ofUsers
  const { operations } = node.node
  const inbound = await operations['inbounds.add'](each.input(`in-${index}`, await portForOne()), call())
  const email = `Аня: & 🙂 ${index}`
  const person = clientInput.parse({
    email,
    uuid: randomUUID(),
    // With every kind of character it may have.
    password: `${randomBytes(12).toString('base64')}+/=._-`,
    subscriptionId: randomUUID(),
  })
  // What is counted is settled when Xray starts.
  if (!countsUsers(each.protocol)) await operations['xray.restart'](undefined, call())
  // Only after its inbound is open: it is let in while Xray runs.
  const [client] =
    inbound.protocol === 'tunnel'
      ? []
      : await operations['clients.add']({ id: inbound.tag, clients: [person] }, call())
  return { ...each, node, inbound, email, clientId: client?.id, link: client?.links[0] }
}

/** What comes of asking for a page, each app on a new connection and in a program that was never connected before. */
async function fetchAll(round: Round, ms: number): Promise<Answers> {
  const linked = [...made.values()].filter(({ link }) => link !== undefined)
  const outbounds = linked.map(({ name, link = '' }): [string, Outbound] => {
    const outbound = outboundOf(link)
    return [name, round === 'impostor' ? impostor(outbound) : outbound]
  })
  const apps = await startXrayApps(xrayBinary(), new Map(outbounds))
  try {
    const answers = await mapLimited(linked, round === 'own' ? 8 : 64, async ({ name, inbound }) => {
      // WireGuard carries packets, and those to loopback never leave a machine: the page's Host leads there instead.
      const host = inbound.protocol === 'wireguard' ? { host: '198.51.100.1' } : {}
      const url = `${web.origin}${pageOf(round, name)}`
      const answer = apps.get(name, url, { ms, ...host }).catch(() => 'refused')
      return [name, await answer] as const
    })
    return new Map(answers)
  } finally {
    await apps.stop()
  }
}

/** One inbound of every kind in one Xray, each with a client; apps set up from nothing but the links. */
describe('through one Xray', () => {
  let own: Answers
  let impostors: Answers
  let deleted: Answers
  let traffic: Changes['traffic'][]
  const pids: (number | null)[][] = []

  const nodes = (): TestNode[] => [ofUsers, ofInbounds]
  const trafficOf = async ({ node }: TestNode): Promise<Changes['traffic']> =>
    (await node.operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})).traffic
  const trafficNow = (): Promise<Changes['traffic'][]> => Promise.all(nodes().map(trafficOf))

  async function notePids(): Promise<void> {
    const states = nodes().map(({ node }) => node.operations['xray.start'](undefined, call()))
    pids.push((await Promise.all(states)).map(({ pid }) => pid))
  }

  beforeAll(async () => {
    site = await startTlsTarget('site.example')
    web = await startWebTarget()
    ofUsers = await startTestNode()
    ofInbounds = await startTestNode()
    const wanted = allCombinations(site.target, new URL(web.pageUrl).host)
    for (const [index, each] of wanted.entries()) {
      if (each.mismatch === null) made.set(each.name, await make(each, index))
      if (index === 0) await notePids()
    }
    await notePids()
    own = await fetchAll('own', 20_000)
    for (const { name, inbound, link } of made.values()) {
      if (link !== undefined) continue
      const answer = await fetch(`http://127.0.0.1:${inbound.port}${pageOf('own', name)}`)
      own = new Map([...own, [name, await answer.text()]])
    }
    // Whatever is not counted until then fails below, by its name.
    await vi
      .waitUntil(
        async () => {
          traffic = await trafficNow()
          const counted = traffic.flatMap(({ inbounds }) => inbounds).filter(({ down }) => down > 0)
          return counted.length === made.size
        },
        { timeout: 15_000, interval: 200 },
      )
      .catch(() => undefined)
    impostors = await fetchAll('impostor', 5_000)
    for (const { node } of nodes()) {
      const emails = [...made.values()].map(({ email }) => email)
      await node.operations['clients.deleteMany']({ emails }, call())
    }
    deleted = await fetchAll('deleted', 5_000)
    await notePids()
  }, 300_000)

  afterAll(async () => {
    await Promise.all(nodes().map((node) => node.stop()))
    await Promise.all([web.stop(), site.stop()])
  })

  test.each(allowed)(
    '%s: in with the link, counted, refused with another credential and when deleted',
    (name) => {
      const one = made.get(name)
      if (one === undefined) throw new Error('it was not made')
      expect(own.get(name)).toBe(web.pageText)

      const { inbounds = [], clients = [] } = traffic[one.node === ofUsers ? 0 : 1] ?? {}
      const ofInbound = inbounds.find(({ id }) => id === one.inbound.id)
      const ofClient = clients.find(({ id }) => id === one.clientId)
      const page = web.pageText.length
      // Once, with what HTTP and a tunnel of packets add to it.
      expect(ofInbound?.down).toBeGreaterThanOrEqual(page)
      expect(ofInbound?.down).toBeLessThan(page + 2_000)
      expect(ofInbound?.up).toBeGreaterThan(0)
      if (countsUsers(one.inbound.protocol))
        expect(ofClient).toMatchObject({ ...ofInbound, id: one.clientId })
      else expect(ofClient).toBeUndefined()

      if (one.link === undefined) return
      for (const [round, answers] of [
        ['impostor', impostors],
        ['deleted', deleted],
      ] as const) {
        expect({ round, answer: answers.get(name) }).toEqual({ round, answer: 'refused' })
        // Not only too slow.
        expect(web.asked).not.toContain(pageOf(round, name))
      }
    },
  )

  test('what does not go together is refused, with the reason', async () => {
    // Each is held against what is there already: here that is little.
    const { operations } = ofInbounds.node
    const port = await freePort()
    for (const { name, input, mismatch } of allCombinations(site.target, '127.0.0.1:1')) {
      if (mismatch === null) continue
      const refusal = operations['inbounds.add'](input('refused', port), call())
      await expect(refusal, name).rejects.toMatchObject({
        code: 'BAD_INPUT',
        details: { field: 'stream', reason: mismatch },
      })
    }
  })

  test('Xray was never restarted for any of it', () => {
    const [first, later, last] = pids
    expect(last).toEqual(later)
    expect([first?.[0], typeof first?.[0]]).toEqual([last?.[0], 'number'])
  })
})
