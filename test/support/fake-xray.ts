/**
 * An Xray in memory: which inbounds are open, who may enter, what was carried. It outlives the node that looks after
 * it, as the real one does; what goes wrong with it is a test's choice.
 */
import { type ErrorCode, FleetError, fail } from '#src/errors.ts'
import type { XrayParts } from '#src/node/engine/xray-parts.ts'
import type { OutboundMessage, TypedMessage } from '#src/xray/api/messages.ts'
import type { XrayUser } from '#src/xray/config/model.ts'
import { type FakeLife, createFakeLife } from './fake-xray-life.ts'
import { noPrograms } from './no-programs.ts'
import { vlessUser } from './xray-server.ts'

interface OpenInbound {
  tag: string
  listen: string
  port: number
  /** By name in lower case, as Xray compares them. */
  users: Map<string, XrayUser>
}

export interface FakeXray extends Pick<FakeLife, 'die' | 'revive' | 'orphan'> {
  parts: XrayParts
  inbounds: Map<string, OpenInbound>
  /** So many of the next steps that change it fail with this, having no effect; `after` good ones come first. */
  failNext(code: ErrorCode, times: number, after?: number): void
  heal(): void
  /** A client moves bytes through every inbound it stands in. */
  carry(email: string, up: number, down: number): void
}

/** How this Xray is told of ways out and rules: their JSON, in the place of messages. */
const messageOf = (value: object): TypedMessage => {
  return { type: 'json', value: Buffer.from(JSON.stringify(value)) }
}

export function createFakeXray(): FakeXray {
  const inbounds = new Map<string, OpenInbound>()
  const counters = new Map<string, number>()
  const outbounds = new Map<string, OutboundMessage>()
  let rules: { ruleTag: string }[] = []
  let good = 0
  let failures: ErrorCode[] = []

  function meetFault(): void {
    if (!life.isRunning()) fail('XRAY_UNAVAILABLE', { reason: 'nothing listens there' })
    if (failures.length > 0 && good-- <= 0) {
      const [code, ...rest] = failures
      failures = rest
      if (code !== undefined) throw new FleetError(code, { reason: 'as the test says' })
    }
  }
  const inboundOf = (tag: string): OpenInbound =>
    inbounds.get(tag) ?? fail('INBOUND_NOT_FOUND', { inbound: tag })

  function open(rendered: unknown): void {
    const { tag, listen, port, settings } = rendered as RenderedByUs
    if (tag === 'api') return
    if (inbounds.has(tag)) fail('INBOUND_TAG_TAKEN', { tag })
    for (const other of inbounds.values())
      if (other.port === port) fail('PORT_TAKEN', { port, by: other.tag })
    const users = settings.clients.map(({ id, email, flow = '' }) => vlessUser(email, id, flow))
    inbounds.set(tag, {
      tag,
      listen,
      port,
      users: new Map(users.map((user) => [user.email.toLowerCase(), user])),
    })
  }

  const life = createFakeLife((config) => {
    inbounds.clear()
    counters.clear()
    for (const inbound of config.inbounds) open(inbound)
    outbounds.clear()
    for (const each of config.outbounds) outbounds.set(each.tag, outboundOf(each))
    rules = config.routing.rules as typeof rules
  })

  const outboundOf = (rendered: { tag: string }): OutboundMessage => ({
    tag: rendered.tag,
    proxy_settings: messageOf(rendered),
  })

  function grow(name: string, bytes: number): void {
    counters.set(name, (counters.get(name) ?? 0) + bytes)
  }

  const parts: XrayParts = {
    process: life.process,
    api: {
      async addUser(tag, user) {
        meetFault()
        inboundOf(tag).users.set(user.email.toLowerCase(), user)
        return 'applied'
      },
      async addUsers(tag, users, options) {
        const outcomes: ('applied' | 'unchanged')[] = []
        for (const user of users) outcomes.push(await parts.api.addUser(tag, user, options))
        return outcomes
      },
      async removeUser(tag, email) {
        meetFault()
        return inboundOf(tag).users.delete(email.toLowerCase()) ? 'applied' : 'unchanged'
      },
      async removeUsers(tag, emails) {
        const outcomes: ('applied' | 'unchanged')[] = []
        for (const email of emails) outcomes.push(await parts.api.removeUser(tag, email))
        return outcomes
      },
      users: async (tag) => [...inboundOf(tag).users.values()],
      async inboundTags() {
        if (!life.isRunning()) fail('XRAY_UNAVAILABLE', { reason: 'nothing listens there' })
        return ['api', ...inbounds.keys()]
      },
      async removeInbound(tag) {
        meetFault()
        return inbounds.delete(tag) ? 'applied' : 'unchanged'
      },
      async putOutbound(outbound) {
        meetFault()
        outbounds.set(outbound.tag, outbound)
      },
      async removeOutbound(tag) {
        meetFault()
        outbounds.delete(tag)
      },
      outbounds: async () => [...outbounds.values()],
      async setRouting({ value }) {
        meetFault()
        rules = (JSON.parse(Buffer.from(value).toString()) as { rules: typeof rules }).rules
      },
      ruleTags: async () => rules.map(({ ruleTag }) => ruleTag),
      counters: async () => new Map(counters),
      online: async () => [],
      addresses: async () => [],
      uptime: async () => life.starts(),
      close: () => undefined,
    },
    async openInbound(rendered) {
      meetFault()
      open(rendered)
    },
    isPortFree: async () => true,
    findClosed: async () => [],
    programs: noPrograms,
    runs: async () => life.isRunning(),
    fetchGeoFiles: async () =>
      fail('DOWNLOAD_FAILED', { what: 'geoip.dat', reason: 'there is no internet here' }),
    geoFileHash: async () => null,
    testConfig: async () => undefined,
    compile: async ({ outbounds: given, routing }) => ({
      outbounds: (given as { tag: string }[]).map(outboundOf),
      routing: messageOf(routing),
    }),
    version: async () => '26.3.27',
    rotateLogs: async () => undefined,
    openCutting: async () => ({ sockets: null, accessLog: null, close: () => undefined }),
    tidy: async () => undefined,
  }

  return {
    parts,
    inbounds,
    failNext(code, times, after = 0) {
      failures = Array.from({ length: times }, () => code)
      good = after
    },
    heal() {
      failures = []
    },
    carry(email, up, down) {
      if (!life.isRunning()) return
      for (const { users } of inbounds.values()) {
        for (const user of users.values()) {
          if (!user.email.startsWith(`${email}#`)) continue
          grow(`user>>>${user.email}>>>traffic>>>uplink`, up)
          grow(`user>>>${user.email}>>>traffic>>>downlink`, down)
          grow('outbound>>>direct>>>traffic>>>uplink', up)
        }
      }
    },
    die() {
      inbounds.clear()
      life.die()
    },
    revive: () => life.revive(),
    orphan: () => life.orphan(),
  }
}

/** Of what we render, what is looked at here. */
interface RenderedByUs {
  tag: string
  listen: string
  port: number
  settings: { clients: { id: string; email: string; flow?: string }[] }
}
