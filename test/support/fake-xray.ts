/**
 * An Xray in memory: which inbounds are open, who may enter, what was carried. It outlives the node that looks after
 * it, as the real one does; what goes wrong with it is a test's choice.
 */
import { type ErrorCode, FleetError, fail } from '#src/errors.ts'
import type { XrayParts } from '#src/node/xray-parts.ts'
import type { XrayUser } from '#src/xray/model.ts'

interface OpenInbound {
  tag: string
  listen: string
  port: number
  /** By name in lower case, as Xray compares them. */
  users: Map<string, XrayUser>
}

export interface FakeXray {
  parts: XrayParts
  inbounds: Map<string, OpenInbound>
  /** So many of the next steps that change it fail with this, having no effect; `after` good ones come first. */
  failNext(code: ErrorCode, times: number, after?: number): void
  heal(): void
  /** A client moves bytes through every inbound it stands in. */
  carry(email: string, up: number, down: number): void
  /** It ends without being asked, and nobody has started it again yet. */
  die(): void
  /** Whoever looks after it starts it again. */
  revive(): void
  /** Nobody looks after it now. */
  orphan(): void
}

export function createFakeXray(): FakeXray {
  const inbounds = new Map<string, OpenInbound>()
  const counters = new Map<string, number>()
  let [running, starts, good] = [false, 0, 0]
  let failures: ErrorCode[] = []
  let file: object | null = null
  let rendering: (() => object) | undefined

  function meetFault(): void {
    if (!running) fail('XRAY_UNAVAILABLE', { reason: 'nothing listens there' })
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
    const users = settings.clients.map(({ id, email, flow }) => ({ email, uuid: id, flow: flow ?? '' }))
    inbounds.set(tag, {
      tag,
      listen,
      port,
      users: new Map(users.map((user) => [user.email.toLowerCase(), user])),
    })
  }

  function begin(render: () => object): void {
    inbounds.clear()
    counters.clear()
    file = render()
    for (const inbound of (file as { inbounds: unknown[] }).inbounds) open(inbound)
    running = true
    starts++
  }

  function grow(name: string, bytes: number): void {
    counters.set(name, (counters.get(name) ?? 0) + bytes)
  }

  const state = () => ({
    running,
    pid: running ? starts : null,
    startedAt: running ? `start ${starts}` : null,
    lastError: null,
    onPreviousConfig: false,
    heldBack: [],
  })

  const parts: XrayParts = {
    process: {
      setRender(render) {
        rendering = render
      },
      async start(render) {
        if (!running) begin(render)
      },
      startAsIs: async () => undefined,
      holdBack: () => undefined,
      release: () => undefined,
      acceptConfig: () => undefined,
      adopt: async () => running,
      async writeConfig(json) {
        file = json
      },
      readConfig: async () => file,
      async stop() {
        running = false
      },
      restart: async (render) => begin(render),
      state,
      detach: async () => undefined,
    },
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
      users: async (tag) => [...inboundOf(tag).users.values()],
      async inboundTags() {
        if (!running) fail('XRAY_UNAVAILABLE', { reason: 'nothing listens there' })
        return ['api', ...inbounds.keys()]
      },
      async removeInbound(tag) {
        meetFault()
        return inbounds.delete(tag) ? 'applied' : 'unchanged'
      },
      counters: async () => new Map(counters),
      online: async () => [],
      uptime: async () => starts,
      close: () => undefined,
    },
    async openInbound(rendered) {
      meetFault()
      open(rendered)
    },
    isPortFree: async () => true,
    findClosed: async () => [],
    programs: {
      current: () => 'xray',
      use: () => undefined,
      pathOf: (version) => version,
      kept: async () => [],
      fetch: async (version) =>
        fail('DOWNLOAD_FAILED', { what: version, reason: 'there is no internet here' }),
      keepCurrent: async () => undefined,
      remove: async () => undefined,
      prune: async () => undefined,
      tidy: async () => undefined,
    },
    runs: async () => running,
    fetchGeoFiles: async () =>
      fail('DOWNLOAD_FAILED', { what: 'geoip.dat', reason: 'there is no internet here' }),
    geoFileHash: async () => null,
    testConfig: async () => undefined,
    version: async () => '26.3.27',
    rotateLogs: async () => undefined,
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
      if (!running) return
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
      running = false
      inbounds.clear()
    },
    revive() {
      if (!running && rendering !== undefined) begin(rendering)
    },
    orphan() {
      rendering = undefined
    },
  }
}

/** Of what we render, what is looked at here. */
interface RenderedByUs {
  tag: string
  listen: string
  port: number
  settings: { clients: { id: string; email: string; flow?: string }[] }
}
