import { randomUUID } from 'node:crypto'
import { clientInput, inboundInput } from '#src/contract/index.ts'

/** What is asked for to get a VLESS inbound on loopback, over raw and without security. */
export const plainInput = (tag: string, port: number) =>
  inboundInput.parse({
    tag,
    protocol: 'vless',
    port,
    listen: '127.0.0.1',
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
  })

/** A client nobody has yet. */
export const person = (email: string) =>
  clientInput.parse({ email, uuid: randomUUID(), subscriptionId: randomUUID() })
