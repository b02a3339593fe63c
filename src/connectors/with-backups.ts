import type { ContractRouterClient } from '@orpc/contract'
import {
  type BackupCalls,
  type CallContext,
  type Contract,
  contract,
  type ServerConnector,
} from '#src/contract/index.ts'

/** A plain object: the calls themselves answer to any name, and so would have a `backups` of their own. */
export function withBackups(
  calls: ContractRouterClient<Contract, CallContext>,
  backups: BackupCalls,
): ServerConnector {
  const groups = Object.keys(contract) as (keyof Contract)[]
  return { ...Object.fromEntries(groups.map((group) => [group, calls[group]])), backups } as ServerConnector
}
