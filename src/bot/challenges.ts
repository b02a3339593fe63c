import { bareStream } from '#src/contract/stream.ts'
import type { Challenge } from '#src/contract/index.ts'
import { portHolder } from '#src/fleet/ports.ts'
import type { InboundRow } from '#src/fleet/types.ts'

/** Where a certificate authority asks. */
export const challengePorts = { 'http-01': 80, 'tls-alpn-01': 443 } as const satisfies Record<
  Challenge,
  number
>

/** The inbound that is in the way of a proof: it has the port, which must be free for a moment. */
export function inTheWay(inbounds: readonly InboundRow[], challenge: Challenge): InboundRow | undefined {
  const listener = {
    tag: challenge,
    protocol: 'vless',
    port: challengePorts[challenge],
    stream: bareStream,
  } as const
  return portHolder(
    inbounds.filter(({ enabled }) => enabled),
    listener,
  )
}

/** How to prove a domain where nobody is asked: on port 80, unless only 443 is free of inbounds. */
export function challengeFor(inbounds: readonly InboundRow[]): Challenge {
  const isOnly443Free =
    inTheWay(inbounds, 'http-01') !== undefined && inTheWay(inbounds, 'tls-alpn-01') === undefined
  return isOnly443Free ? 'tls-alpn-01' : 'http-01'
}
