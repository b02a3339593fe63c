/**
 * Inbounds that are left out of a start because their ports cannot be had: Xray as a whole would not start for one of
 * them, or start and listen to nobody.
 */
import { FleetError } from '#src/errors.ts'
import { mapLimited } from '../api/concurrency.ts'
import { portProblem, problems } from './ports.ts'

export interface HeldBack {
  tag: string
  /** Why, in words. */
  reason: string
}

/** What is looked at of an inbound in Xray's configuration, whoever wrote it. */
interface AnyInbound {
  tag?: unknown
  listen?: unknown
  port?: unknown
  protocol?: unknown
  settings?: { network?: unknown }
  streamSettings?: { network?: unknown }
}

/** Transports whose port is surely a TCP port; that of XHTTP may be one of UDP. */
const overTcp: readonly unknown[] = [undefined, 'raw', 'tcp', 'ws', 'websocket', 'httpupgrade', 'grpc']
const overUdp: readonly unknown[] = ['wireguard', 'hysteria', 'hysteria2']

/**
 * Inbounds whose TCP ports cannot be listened on, found by trying. Only where no Xray of ours listens there. For most
 * transports Xray would say so itself, but gRPC only logs it, and another Xray's port it would share.
 */
export async function findClosed(config: object): Promise<HeldBack[]> {
  const found = await mapLimited(inboundsOf(config), 32, async (inbound): Promise<HeldBack[]> => {
    const { tag, listen, port } = inbound
    if (typeof tag !== 'string' || typeof port !== 'number' || !isTcp(inbound)) return []
    const host = typeof listen === 'string' ? listen : '0.0.0.0'
    // A path is a unix socket's.
    if (/[/@]/.test(host)) return []
    const problem = await portProblem(host, port)
    // Xray may be allowed what we are not; if it is not, it will say so.
    if (problem === problems.EACCES) return []
    return problem === null ? [] : [{ tag, reason: reasonFor(port, problem) }]
  })
  return found.flat()
}

/** Go's own words, the last of Xray's chain of causes. */
const refusal =
  /listen (?:tcp|udp)[46]? \[?([^\]\s]*?)\]?:(\d+): (?:bind: )?(address already in use|cannot assign requested address|permission denied)/

const words: Record<string, string> = {
  'address already in use': problems.EADDRINUSE,
  'cannot assign requested address': problems.EADDRNOTAVAIL,
  'permission denied': problems.EACCES,
}

/** The inbounds whose port Xray has just refused to start for; none where it was something else. */
export function findRefused(said: string, config: object): HeldBack[] {
  const [, address, port, problem] = refusal.exec(said) ?? []
  if (port === undefined || problem === undefined) return []
  const there = inboundsOf(config).filter((inbound) => hasPort(inbound, Number(port)))
  const exactly = there.filter(({ listen }) => listen === address)
  return (exactly.length > 0 ? exactly : there).flatMap(({ tag }) =>
    typeof tag === 'string' ? [{ tag, reason: reasonFor(port, words[problem] ?? problem) }] : [],
  )
}

/** Why an inbound could not be opened in a running Xray, where that is its port; null for other reasons. */
export function portReason(
  error: unknown,
  inbound: { tag: string; port: number; listen?: unknown },
): string | null {
  if (!(error instanceof FleetError)) return null
  if (error.code === 'PORT_TAKEN') return reasonFor(inbound.port, problems.EADDRINUSE)
  if (error.code !== 'XRAY_REFUSED') return null
  return findRefused(String(error.details['reason']), { inbounds: [inbound] })[0]?.reason ?? null
}

/** The configuration without them. */
export function withoutHeldBack(config: object, heldBack: readonly HeldBack[]): object {
  const isKept = ({ tag }: AnyInbound): boolean => !heldBack.some((held) => held.tag === tag)
  return { ...config, inbounds: inboundsOf(config).filter(isKept) }
}

/** All of them in one line; null for none. */
export function tellHeldBack(heldBack: readonly HeldBack[]): string | null {
  if (heldBack.length === 0) return null
  return heldBack.map(({ tag, reason }) => `the inbound ${tag} is closed: ${reason}`).join('; ')
}

function reasonFor(port: string | number, problem: string): string {
  return `port ${port} cannot be had, ${problem}`
}

function inboundsOf(config: object): AnyInbound[] {
  const { inbounds } = config as { inbounds?: unknown }
  return Array.isArray(inbounds) ? (inbounds as AnyInbound[]) : []
}

function isTcp({ protocol, settings, streamSettings }: AnyInbound): boolean {
  const network = settings?.network
  return (
    !overUdp.includes(protocol) &&
    overTcp.includes(streamSettings?.network) &&
    (typeof network !== 'string' || network.split(',').includes('tcp'))
  )
}

/** Xray takes a number, and ranges in a text: `443,1000-2000`. */
function hasPort({ port }: AnyInbound, wanted: number): boolean {
  if (typeof port === 'number') return port === wanted
  return String(port)
    .split(',')
    .map((range) => range.split('-').map(Number))
    .some(([first = 0, last = first]) => first <= wanted && wanted <= last)
}
