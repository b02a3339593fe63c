/** The moments of a change at which a process may end and nothing may be lost: after each step, before the next. */
export const faultPoints = [
  /** The tasks are in the journal. */
  'task committed',
  /** A task is on its way to its server. */
  'sent',
  /** An agent has a request in hand, whole. */
  'received',
  /** A node has a backup whole and has found nothing wrong with it; it has changed nothing yet. */
  'backup checked',
  /** A node has committed rows, key and undo. */
  'applying committed',
  /** Xray has followed. */
  'hot-applied',
  /** A node has committed the outcome. */
  'result committed',
  /** An agent's answer has left. */
  'answered',
  /** The outcome is in the journal. */
  'recorded',
  /** Telegram has taken the message that shows the outcome. */
  'chat told',
  /** Telegram has taken a message of the outbox. */
  'outbox sent',
  /** The poll that confirms updates is on its way to Telegram. */
  'update confirmed',
] as const

export type FaultPoint = (typeof faultPoints)[number]

/** What a test puts between two steps. A product has none: nothing but a test's own composition root passes any. */
export interface Faults {
  /** @param operation what is being done, where that is known: `clients.add` */
  at(point: FaultPoint, operation?: string): void | Promise<void>
}

/** As in production: nothing happens between two steps. */
export const noFaults: Faults = { at: () => undefined }
