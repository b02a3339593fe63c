/** What can happen to a fleet: what people ask for, and what goes wrong meanwhile. Servers are 0, 1 and 2. */
import type { WriteFault } from './faulty-node.ts'

export type Ask =
  | { ask: 'inbounds.add'; tag: string; port: number }
  | {
      ask: 'inbounds.update'
      tag: string
      edit: { tag?: string; port?: number; enabled?: boolean; remark?: string }
    }
  | { ask: 'inbounds.delete'; tag: string }
  /** `known`: with the credentials this name had last, as for another inbound or server. */
  | { ask: 'clients.add'; tag: string; emails: string[]; known: boolean }
  | { ask: 'clients.update'; email: string; edit: { enabled?: boolean; comment?: string }; newUuid: boolean }
  | { ask: 'clients.delete'; email: string }
  | { ask: 'clients.resetTraffic'; email: string }

export type Step =
  | { do: 'ask'; what: Ask; servers: number[]; /** Quotes the row as it is shown. */ version: boolean }
  | { do: 'ask again'; batch: number }
  | { do: 'try again'; batch: number }
  | { do: 'network'; server: number; offline: boolean }
  | { do: 'writes'; server: number; faults: WriteFault[] }
  | { do: 'late'; server: number }
  | {
      do: 'xray fails'
      server: number
      code: 'XRAY_REFUSED' | 'XRAY_UNAVAILABLE'
      times: number
      after: number
    }
  | { do: 'xray'; server: number; lives: boolean }
  | { do: 'process'; server: number; lives: boolean }
  | { do: 'backup'; server: number }
  | { do: 'restore'; server: number; empty: boolean }
  | { do: 'controller'; how: 'stop' | 'kill' }
  | { do: 'enabled'; server: number; enabled: boolean }
  | { do: 'health'; server: number }
  | { do: 'traffic'; server: number; email: string; bytes: number }
  | { do: 'wait'; ms: number }
  | { do: 'turns'; count: number }
