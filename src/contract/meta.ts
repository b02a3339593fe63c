import { oc } from '@orpc/contract'

/** Who may call an operation: each role may do what those before it may. */
export const roles = ['viewer', 'operator', 'admin', 'owner'] as const
export type Role = (typeof roles)[number]

/**
 * What is known of an operation besides its shapes. Permissions, the journal, the fan-out over all servers and the
 * API's documentation read it from here, so nothing about an operation is said twice.
 */
export interface OperationMeta {
  /** read changes nothing; write changes rows; danger can take people's service away. */
  kind: 'read' | 'write' | 'danger'
  role: Role
  /** How long a caller waits for the answer, in ms. */
  timeout: number
  /**
   * What happens to a call while its server is away: refused at once, or kept for `queue` ms and sent when the
   * server is back. A client is still wanted next week; a restart is not.
   */
  whenOffline: 'refuse' | { queue: number }
  /** Dotted paths of input fields that are secret: sealed in the journal, never logged. `*` stands for any index. */
  secrets: readonly string[]
}

/** A plain read: anyone who may see the server may call it. */
const plainRead: OperationMeta = {
  kind: 'read',
  role: 'viewer',
  timeout: 10_000,
  whenOffline: 'refuse',
  secrets: [],
}

// Partial, so that an operation states only what differs: oRPC merges it over what came before.
const base = oc.$meta<Partial<OperationMeta>>(plainRead)

const days = 24 * 60 * 60 * 1000

/** A change that stays wanted while a server is away. A week: as long as a controller may be away from its agents. */
const queued = { kind: 'write', role: 'operator', timeout: 30_000, whenOffline: { queue: 7 * days } } as const

export const read = base
export const write = base.meta(queued)
/**
 * What is deleted stays so, however long a server is away: whoever was thrown out must not come in again by one that
 * returns. Doing it twice is harmless.
 */
export const danger = base.meta({ ...queued, kind: 'danger', whenOffline: { queue: 365 * days } })
/** A command for this moment only: it must not fire days later, when nobody expects it. */
export const command = base.meta({ ...queued, kind: 'danger', whenOffline: 'refuse' })
/** A command that changes what runs on a machine. */
export const admin = command.meta({ role: 'admin' })
