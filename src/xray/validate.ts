import { readFile } from 'node:fs/promises'
import { flows } from '#src/contract/clients.ts'
import { FleetError, fail } from '#src/errors.ts'
import { lastMeaningfulLine, runXray } from './command.ts'
import type { XrayModel } from './model.ts'
import { xrayVersion } from './program.ts'
import { publicKeyOf } from './reality.ts'
import { reservedTags } from './render.ts'

/**
 * What `xray run -test` lets pass and then does wrong: port 99999 (it listens on 34463), two inbounds on one port
 * (they share it without a word), a flow where none works, one tag for two things.
 * @returns the first thing wrong, or null
 */
export function validateModel(model: XrayModel): FleetError | null {
  const seen: XrayModel['inbounds'] = []
  for (const inbound of model.inbounds) {
    const wrong = validateInbound(inbound) ?? validateAgainst(inbound, seen)
    if (wrong !== null) return wrong
    seen.push(inbound)
  }
  return null
}

type Inbound = XrayModel['inbounds'][number]

function validateInbound(inbound: Inbound): FleetError | null {
  const { tag, port, stream, privateKey, users } = inbound
  if (tag === '' || reservedTags.some((reserved) => reserved === tag)) {
    return bad('tag', `${tag === '' ? 'an empty tag' : tag} is used by fleetgram itself`)
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return bad('port', `${port} is not 1 to 65535`)
  const { security } = stream
  if (security.type === 'reality') {
    if (privateKey === null || !isKeyPair(privateKey, security.publicKey)) {
      return bad('stream', `the keys of ${tag} do not belong together`)
    }
  }
  const emails = new Set<string>()
  for (const { email, flow } of users) {
    if (email === '') return bad('email', 'a client without a name could never be removed')
    // Xray compares names so.
    if (emails.has(email.toLowerCase())) return bad('email', `${email} is there twice in ${tag}`)
    emails.add(email.toLowerCase())
    if (!flows.some((known) => known === flow)) return bad('flow', `Xray knows no flow ${flow}`)
    if (flow !== '' && !carriesFlow(stream)) {
      return bad('flow', `${flow} works only with raw and REALITY or TLS, which ${tag} has not`)
    }
  }
  return null
}

/** Whether clients of an inbound may use XTLS Vision: it splices TLS records, so it needs TLS on a bare stream. */
export function carriesFlow(stream: Inbound['stream']): boolean {
  return stream.transport.type === 'raw' && stream.security.type !== 'none'
}

function validateAgainst(inbound: Inbound, others: readonly Inbound[]): FleetError | null {
  for (const other of others) {
    if (other.tag === inbound.tag) return new FleetError('INBOUND_TAG_TAKEN', { tag: inbound.tag })
    if (other.port === inbound.port && listensOverlap(other.listen, inbound.listen)) {
      return new FleetError('PORT_TAKEN', { port: inbound.port, by: `the inbound ${other.tag}` })
    }
  }
  return null
}

/** Whether two listeners on one port would be in each other's way. `::` takes IPv4 as well. */
export function listensOverlap(a: string, b: string): boolean {
  const [x, y] = [normalAddress(a), normalAddress(b)]
  if (x === y || x === '::' || y === '::') return true
  return (x === '0.0.0.0' && !y.includes(':')) || (y === '0.0.0.0' && !x.includes(':'))
}

// One spelling for each address: an IPv6 address has many, and an URL's host has one.
function normalAddress(address: string): string {
  if (!address.includes(':')) return address
  return new URL(`http://[${address}]/`).hostname.slice(1, -1)
}

function isKeyPair(privateKey: string, publicKey: string): boolean {
  try {
    return publicKeyOf(privateKey) === publicKey
  } catch {
    return false
  }
}

function bad(field: string, reason: string): FleetError {
  return new FleetError('BAD_INPUT', { field, reason })
}

/**
 * Lets Xray itself read a configuration file, and what it names, without opening a port or a log file.
 * @param assets the folder of its geo files, where it is not to look for them itself
 * @throws XRAY_REFUSED with its reason; XRAY_NOT_FOUND when this is no Xray
 */
export async function testConfig(
  binary: string,
  configPath: string,
  assets: string | null = null,
): Promise<void> {
  const config: unknown = JSON.parse(await readFile(configPath, 'utf8'))
  // Xray opens its log files even for a test, those of the running one, and fails where their folder is still missing.
  const input = JSON.stringify({ ...(config as object), log: { access: 'none', error: 'none' } })
  const { exitCode, output } = await runXray(binary, ['run', '-test', '-c', 'stdin:'], { input, assets })
  if (exitCode === 0) return
  // What is no Xray has no say on a configuration.
  await xrayVersion(binary)
  fail('XRAY_REFUSED', { reason: lastMeaningfulLine(output) })
}
