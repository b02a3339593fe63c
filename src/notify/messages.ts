import type { CodedError } from '#src/errors.ts'
import type { IncidentKind } from '#src/store/schema.ts'

export type { IncidentKind }

interface AboutServer {
  serverId: number
  /** The name it had when this happened. */
  serverName: string
}

/** The facts of each kind of message. The words are made when it is sent. All times in ms since the epoch. */
export interface Messages {
  /** offline: it cannot be reached. error: it answers, but its Xray is down. partly: Xray runs, but not all of it. */
  serverDown: AboutServer & { state: IncidentKind; reason: CodedError; since: number }
  /** `state`: what it is back from. Older rows have none. */
  serverUp: AboutServer & { state?: IncidentKind; downSince: number; upAt: number }
  /** Both in one, where the first was not sent before the second came. */
  serverDownAndUp: AboutServer & {
    state: IncidentKind
    reason: CodedError
    downSince: number
    upAt: number
  }
  /** Changes that waited for the server will not be made. The first of them by their tasks, and how many there are. */
  changesRefused: AboutServer & {
    changes: { batch: string; task: string; reason: CodedError }[]
    count: number
  }
}

/** A kind with the facts that belong to it. */
export type Message = { [K in keyof Messages]: { kind: K; payload: Messages[K] } }[keyof Messages]
