/** What stands on a node, as it is worked with: rows with what is sealed in them opened. */
import type {
  BlockReason,
  Client,
  Inbound,
  InboundStream,
  ProtocolSettings,
  Sniffing,
} from '#src/contract/index.ts'
import type { InboundSecrets, LinkSecrets } from '#src/xray/config/model.ts'

/** An inbound of this node, as most need it: the keys that never leave the server stay sealed. */
export type InboundSettings = ProtocolSettings & {
  id: number
  tag: string
  remark: string
  listen: string
  port: number
  stream: InboundStream
  linkSecrets: LinkSecrets
  sniffing: Sniffing
  enabled: boolean
  limitBytes: number | null
  expiresAt: number | null
  trafficReset: Inbound['trafficReset']
  nextResetAt: number | null
  blocked: BlockReason | null
  rowVersion: number
  changeSeq: number
  createdAt: number
  updatedAt: number
}

/** An inbound of this node, its keys opened. */
export type InboundRecord = InboundSettings & { secrets: InboundSecrets }

/** A client of this node, credentials opened. */
export interface ClientRecord {
  id: number
  email: string
  uuid: string
  password: string
  subscriptionId: string
  flow: Client['flow']
  enabled: boolean
  comment: string
  limitBytes: number | null
  expiresAt: number | null
  lastsDays: number | null
  resetDays: number | null
  nextResetAt: number | null
  ipLimit: number | null
  telegramId: number | null
  startedAt: number | null
  blocked: BlockReason | null
  inbounds: number[]
  rowVersion: number
  changeSeq: number
  createdAt: number
  updatedAt: number
}
