import { type OperationInput, inboundInput } from '#src/contract/index.ts'
import { networksOf } from '#src/xray/config/streams.ts'
import type { InboundRow } from './types.ts'

/** Of a server's inbounds the one that would be in the way of a new one: by TCP and by UDP a port has two lives. */
export function portHolder(
  inbounds: readonly InboundRow[],
  wanted: OperationInput<'inbounds.add'>,
): InboundRow | undefined {
  const networks = networksOf(inboundInput.parse(wanted))
  return inbounds.find(
    (row) => row.port === wanted.port && networksOf(row).some((network) => networks.includes(network)),
  )
}
