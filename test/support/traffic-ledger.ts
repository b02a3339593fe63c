/**
 * Every byte that was ever moved, one entry after another, and what has become of it: read and written down, still
 * standing in Xray's counters, or lost. What a node has counted must come out the same.
 */
export interface Moved {
  name: string
  inbound: number
  up: number
  down: number
}

interface Entry extends Moved {
  /** Which start of Xray carried it. */
  start: number
  /** Who it was written down for: a client's id, null for one that is gone; undefined: not written down. */
  owner?: number | null | undefined
  isLost?: boolean
}

interface Client {
  id: number
  /** Bytes that lie before the last reset. */
  resetAt: number
}

/** What of a ledger is in a node's file, and so in a copy of it. */
interface Written {
  owners: (number | null | undefined)[]
  clients: Map<string, Client>
}

export function createTrafficLedger() {
  const entries: Entry[] = []
  let clients = new Map<string, Client>()
  let start = 1

  const sum = (wanted: (entry: Entry) => boolean): { up: number; down: number } =>
    entries
      .filter((entry) => entry.owner !== undefined && wanted(entry))
      .reduce((total, { up, down }) => ({ up: total.up + up, down: total.down + down }), { up: 0, down: 0 })
  const ofClient = (id: number) => sum((entry) => entry.owner === id)
  const used = ({ id, resetAt }: Client): number => ofClient(id).up + ofClient(id).down - resetAt

  return {
    start: () => start,
    move: (moved: Moved): void => void entries.push({ ...moved, start }),

    /** All that the running Xray has carried is written down for whoever has the name now. */
    read(): void {
      for (const entry of entries) {
        if (entry.owner !== undefined || entry.isLost === true || entry.start !== start) continue
        entry.owner = clients.get(entry.name)?.id ?? null
      }
    },

    /** Xray ends; what was not read is lost. */
    ends(): void {
      for (const entry of entries) if (entry.owner === undefined) entry.isLost = true
      start++
    },

    add: (name: string, id: number): void => void clients.set(name, { id, resetAt: 0 }),
    remove: (name: string): void => void clients.delete(name),
    reset(name: string): void {
      const client = clients.get(name)
      if (client !== undefined) client.resetAt += used(client)
    },

    copy: (): Written => ({ owners: entries.map(({ owner }) => owner), clients: structuredClone(clients) }),
    /** An older copy of the file is put back: it knows nothing of later. What still stands in the counters comes again. */
    putBack(copy: Written): void {
      clients = structuredClone(copy.clients)
      for (const [index, entry] of entries.entries()) {
        entry.owner = copy.owners[index]
        if (entry.owner === undefined && entry.start !== start) entry.isLost = true
      }
    },

    /** Xray's counters as they stand: all that this start has carried, whoever read it. */
    counters(): Map<string, number> {
      const counters = new Map<string, number>()
      const grow = (name: string, bytes: number): void =>
        void counters.set(name, (counters.get(name) ?? 0) + bytes)
      for (const { name, inbound, up, down, start: of } of entries) {
        if (of !== start) continue
        grow(`user>>>${name}#${inbound}>>>traffic>>>uplink`, up)
        grow(`user>>>${name}#${inbound}>>>traffic>>>downlink`, down)
        grow('outbound>>>direct>>>traffic>>>uplink', up)
        grow('outbound>>>direct>>>traffic>>>downlink', down)
      }
      return counters
    },

    /** What a node is to have counted. */
    expected: () => ({
      clients: [...clients.values()].map((client) => ({
        id: client.id,
        ...ofClient(client.id),
        used: used(client),
      })),
      inbound: (id: number) => sum((entry) => entry.inbound === id),
      outbound: sum(() => true),
    }),
  }
}
