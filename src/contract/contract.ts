import type { ContractRouterClient } from '@orpc/contract'
import { certificates } from './certificates.ts'
import type { BackupCalls } from './backups.ts'
import { clients } from './clients.ts'
import { inbounds } from './inbounds.ts'
import { routing } from './routing.ts'
import { server } from './server.ts'
import { sync } from './sync.ts'
import { system, xray } from './system.ts'
import { traffic } from './traffic.ts'

/** Everything a server can do, said once. Paths are below `/api/v1` on an agent. */
export const contract = {
  server,
  inbounds,
  clients,
  routing,
  traffic,
  xray,
  system,
  certificates,
  sync,
}
export type Contract = typeof contract

/** What travels with a call besides its input. */
export interface CallContext {
  /** Names one intended change. A repeated key gets the outcome of the first, never a second change. */
  idempotencyKey?: string
}

/** A server, wherever it is: the same calls, the same answers, the same errors. */
export type ServerConnector = ContractRouterClient<Contract, CallContext> & { backups: BackupCalls }

/** The path below which agents serve the contract. */
export const apiPrefix = '/api/v1'
