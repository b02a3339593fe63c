/**
 * The name under which Xray knows a client in one inbound: `anna#12`. Xray counts per name over all inbounds, and its
 * own counter of what an inbound sends stays at zero for VLESS (26.3.27); with the inbound's id in the name both the
 * client's and the inbound's traffic come out exact.
 */
export function xrayName(email: string, inboundId: number): string {
  return `${nameInXray(email)}#${inboundId}`
}

/**
 * A client's name as it stands there. With SOCKS and HTTP it is typed in before a password, and a colon would end it;
 * a slash is never part of a client's name.
 */
export function nameInXray(email: string): string {
  return email.replaceAll(':', '/')
}

/** The client and the inbound behind such a name; null for one that is not of our making. */
export function parseXrayName(name: string): { email: string; inboundId: number } | null {
  const match = /^(.+)#(\d+)$/s.exec(name)
  return match?.[1] === undefined
    ? null
    : { email: match[1].replaceAll('/', ':'), inboundId: Number(match[2]) }
}
