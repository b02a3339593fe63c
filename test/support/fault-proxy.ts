/** A network between two parties that a test can break, and mend, while they talk. */
import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** `request` flows from who dialled to who listens, `reply` the other way. */
export type Direction = 'request' | 'reply'

export type Fault =
  | { type: 'none' }
  /** Everything arrives `ms` later, in either direction. */
  | { type: 'latency'; ms: number }
  /** Every connection is reset, new ones as soon as they are made. */
  | { type: 'reset' }
  /** Connections are accepted, and swallow everything. */
  | { type: 'halfOpen' }
  /** Requests arrive; what is answered is kept back until the fault is over. */
  | { type: 'holdReplies' }
  | { type: 'slow'; bytesPerSecond: number }
  /**
   * A connection is reset once more than `after` bytes want to go this way, counted from when the fault was set; these
   * bytes still arrive. `reply` after 0: the request arrives whole, and nothing of its answer does. A new connection
   * answers first with its handshake, so what is to lose an answer stands already. `once`: the first such connection
   * ends the fault.
   */
  | { type: 'cut'; direction: Direction; after: number; once?: boolean }

export interface FaultProxy {
  host: string
  port: number
  /** From now on, also on connections that stand. What an earlier fault held back goes on first. */
  set(fault: Fault): void
  heal(): void
  /** Resets every connection, whatever the fault. */
  resetAll(): void
  /** How many connections were cut or reset by a fault. */
  readonly strikes: number
  /** Bytes of replies held back now. */
  readonly held: number
  close(): Promise<void>
}

interface Link {
  sockets: Socket[]
  /** Bytes let through since this fault was set. */
  counted: { under: Fault; request: number; reply: number }
  /** Wakes the lanes when the fault changes. */
  wake(): void
}

interface Piece {
  bytes: Buffer
  due: number
}

/** How often a slow connection lets something through, ms. */
const SLOW_TICK_MS = 50
const NONE: Fault = { type: 'none' }

export async function startFaultProxy(options: {
  target: { host: string; port: number }
  listen?: { host: string; port: number }
}): Promise<FaultProxy> {
  const { target, listen = { host: '127.0.0.1', port: 0 } } = options
  const links = new Set<Link>()
  let fault: Fault = NONE
  let [strikes, held] = [0, 0]

  const reset = (link: Link): void => {
    links.delete(link)
    for (const socket of link.sockets) socket.resetAndDestroy()
    link.wake()
  }
  const strike = (link: Link): void => {
    if (links.has(link)) strikes++
    reset(link)
  }

  const change = (to: Fault): void => {
    fault = to
    for (const link of links) {
      // Nobody answers for a connection that was never made.
      if (to.type === 'reset' || link.sockets.length === 1) strike(link)
      else link.wake()
    }
  }

  /** One direction of a connection: what comes in waits in line until the fault lets it out. */
  function lane(link: Link, from: Socket, to: Socket, direction: Direction): () => void {
    const line: Piece[] = []
    let busy = false
    let changed = Promise.withResolvers<void>()

    const isHeld = (): boolean =>
      fault.type === 'halfOpen' || (fault.type === 'holdReplies' && direction === 'reply')

    async function step(piece: Piece): Promise<void> {
      if (isHeld()) {
        if (direction === 'reply') held += piece.bytes.length
        await changed.promise
        if (direction === 'reply') held -= piece.bytes.length
        return
      }
      const wait = fault.type === 'latency' ? piece.due - Date.now() : 0
      if (wait > 0) {
        await Promise.race([sleep(wait), changed.promise])
        return
      }
      if (link.counted.under !== fault) link.counted = { under: fault, request: 0, reply: 0 }
      const most = allowance(fault, direction, link.counted[direction])
      const now = piece.bytes.subarray(0, most)
      link.counted[direction] += now.length
      if (now.length > 0) await new Promise((resolve) => to.write(now, resolve))
      if (now.length === piece.bytes.length) line.shift()
      else if (fault.type === 'cut' && link.counted.under === fault) {
        if (fault.once === true) fault = NONE
        strike(link)
      } else {
        piece.bytes = piece.bytes.subarray(now.length)
        if (fault.type === 'slow') await Promise.race([sleep(SLOW_TICK_MS), changed.promise])
      }
    }

    async function drain(): Promise<void> {
      if (busy) return
      busy = true
      while (links.has(link)) {
        const piece = line[0]
        if (piece === undefined) break
        await step(piece)
      }
      busy = false
      if (from.readableEnded && line.length === 0) to.end()
    }

    from.on('data', (bytes: Buffer) => {
      line.push({ bytes, due: Date.now() + (fault.type === 'latency' ? fault.ms : 0) })
      void drain()
    })
    from.once('end', () => void drain())
    return () => {
      changed.resolve()
      changed = Promise.withResolvers()
    }
  }

  const server = createServer({ allowHalfOpen: true }, (near) => {
    near.on('error', () => undefined)
    const link: Link = {
      sockets: [near],
      counted: { under: fault, request: 0, reply: 0 },
      wake: () => undefined,
    }
    links.add(link)
    near.once('close', () => reset(link))
    if (fault.type === 'reset') return strike(link)
    if (fault.type === 'halfOpen') return void near.resume()
    const far = connect({ ...target, allowHalfOpen: true })
    link.sockets.push(far)
    far.on('error', () => undefined)
    far.once('close', () => reset(link))
    const wakes = [lane(link, near, far, 'request'), lane(link, far, near, 'reply')]
    link.wake = () => {
      for (const wake of wakes) wake()
    }
  })
  server.listen(listen.port, listen.host)
  await once(server, 'listening')

  return {
    host: listen.host,
    port: (server.address() as AddressInfo).port,
    set: change,
    heal: () => change(NONE),
    resetAll: () => {
      for (const link of links) strike(link)
    },
    get strikes() {
      return strikes
    },
    get held() {
      return held
    },
    async close() {
      for (const link of links) reset(link)
      server.close()
      await once(server, 'close')
    },
  }
}

/** How many bytes may go this way at once. */
function allowance(fault: Fault, direction: Direction, counted: number): number {
  if (fault.type === 'slow') return Math.max(1, Math.round((fault.bytesPerSecond * SLOW_TICK_MS) / 1000))
  if (fault.type === 'cut' && fault.direction === direction) return Math.max(0, fault.after - counted)
  return Infinity
}
