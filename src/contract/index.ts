export { apiPrefix, type CallContext, type Contract, contract, type ServerConnector } from './contract.ts'
export type { Certificate, Challenge } from './certificates.ts'
export {
  type BackupCalls,
  type BackupFile,
  type BackupInfo,
  type CreateBackup,
  type Deleted,
  MAX_BACKUP_BYTES,
  type ParsedRestore,
  type RestoreBackup,
  type RestoredRows,
  type RestoreReport,
  restoreReport,
  streamed,
  type StreamedInput,
  type StreamedName,
} from './backups.ts'
export type { Client, ClientInput } from './clients.ts'
export type { BlockReason, Inbound, InboundInput, Sniffing } from './inbounds.ts'
export type { GivenProtocolSettings, Protocol, ProtocolSettings, ShadowsocksMethod } from './protocols.ts'
export type { Outbound, RoutingDocument } from './routing.ts'
export type { InboundStream, StreamInput } from './stream.ts'
export { eventId, type Happening, type NodeEvent, parseEventId } from './events.ts'
export type { Health, ServerInfo } from './server.ts'
export type { SystemStats } from './system.ts'
export type { Changes, MirroredClient, MirroredInbound } from './sync.ts'
export { type OperationMeta, type Role, roles } from './meta.ts'
export { clientInput } from './clients.ts'
export { inboundInput } from './inbounds.ts'
export { plainRouting } from './routing.ts'
export * from './operations.ts'
