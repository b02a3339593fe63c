import type { InboundStream } from '#src/contract/index.ts'
import { carriesFlow } from './validate.ts'

/**
 * The flow a client has in one inbound. A client asks for Vision once; it gets it wherever it works, and goes
 * without elsewhere, so that one client can stand in inbounds of different kinds.
 */
export function flowIn(flow: string, stream: InboundStream): string {
  return carriesFlow(stream) ? flow : ''
}
