import { flows } from '#src/contract/clients.ts'
import { oneSpelling } from '#src/contract/primitives.ts'
import { FleetError, fail } from '#src/errors.ts'
import { lastMeaningfulLine, runXray } from '../programs/command.ts'
import { carriesFlow } from './account.ts'
import type { XrayModel } from './model.ts'
import { type Network, networksOf, streamMismatch } from './streams.ts'
import { publicKeyOf } from './x25519.ts'
import { xrayVersion } from '../programs/program.ts'
import { reservedTags } from './tags.ts'
import { validateBeside } from './validate-routing.ts'

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
  return validateBeside(model)
}

type Inbound = XrayModel['inbounds'][number]

function validateInbound(inbound: Inbound): FleetError | null {
  const { tag, port, users, secrets } = inbound
  if (tag === '' || reservedTags.some((reserved) => reserved === tag)) {
    return bad('tag', `${tag === '' ? 'an empty tag' : tag} is used by fleetgram itself`)
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return bad('port', `${port} is not 1 to 65535`)
  const mismatch = streamMismatch(inbound)
  if (mismatch !== null) return bad('stream', mismatch)
  const { security } = inbound.stream
  if (security.type === 'reality' && !isKeyPair(secrets.privateKey, security.publicKey)) {
    return bad('stream', `the keys of ${tag} do not belong together`)
  }
  if ('fallbacks' in inbound.settings && inbound.settings.fallbacks.length > 0) {
    const { transport } = inbound.stream
    // Anywhere else Xray reads them and never follows one.
    if (transport.type !== 'raw' || security.type === 'none') {
      return bad('settings.fallbacks', 'fallbacks need raw with TLS or REALITY')
    }
  }
  const emails = new Set<string>()
  for (const { email, account } of users) {
    if (email === '') return bad('email', 'a client without a name could never be removed')
    // Xray compares names so.
    if (emails.has(email.toLowerCase())) return bad('email', `${email} is there twice in ${tag}`)
    emails.add(email.toLowerCase())
    if (account.type !== 'vless') continue
    if (!flows.some((known) => known === account.flow))
      return bad('flow', `Xray knows no flow ${account.flow}`)
    if (account.flow !== '' && !carriesFlow(inbound)) {
      return bad('flow', `${account.flow} works only with raw and REALITY or TLS, which ${tag} has not`)
    }
  }
  return null
}

function validateAgainst(inbound: Inbound, others: readonly Inbound[]): FleetError | null {
  for (const other of others) {
    if (other.tag === inbound.tag) return new FleetError('INBOUND_TAG_TAKEN', { tag: inbound.tag })
    if (other.port !== inbound.port) continue
    const networks = networksOf(inbound)
    const sharesNetwork = networksOf(other).some((network) => networks.includes(network))
    if (sharesNetwork && listensOverlap(other.listen, inbound.listen)) {
      return new FleetError('PORT_TAKEN', { port: inbound.port, by: `the inbound ${other.tag}` })
    }
  }
  return null
}

/** Whether two listeners on one port would be in each other's way. `::` takes IPv4 as well. */
export function listensOverlap(a: string, b: string): boolean {
  const [x, y] = [oneSpelling(a), oneSpelling(b)]
  if (x === y || x === '::' || y === '::') return true
  return (x === '0.0.0.0' && !y.includes(':')) || (y === '0.0.0.0' && !x.includes(':'))
}

function isKeyPair(privateKey: string | undefined, publicKey: string): boolean {
  if (privateKey === undefined) return false
  try {
    return publicKeyOf(privateKey) === publicKey
  } catch {
    return false
  }
}

type Listening = Parameters<typeof networksOf>[0] & Pick<Inbound, 'listen' | 'port'>

/** What one listens to that none of these, which are open in our own Xray, has already. */
export function networksBeside(ours: readonly Listening[], inbound: Listening): Network[] {
  const there = ours.filter(
    ({ port, listen }) => port === inbound.port && listensOverlap(listen, inbound.listen),
  )
  return networksOf(inbound).filter((network) => !there.some((other) => networksOf(other).includes(network)))
}

function bad(field: string, reason: string): FleetError {
  return new FleetError('BAD_INPUT', { field, reason })
}

/**
 * Lets Xray itself read a configuration, and what it names, without opening a port or a log file.
 * @param assets the folder of its geo files, where it is not to look for them itself
 * @throws XRAY_REFUSED with its reason; XRAY_NOT_FOUND when this is no Xray
 */
export async function testConfig(
  binary: string,
  config: object,
  assets: string | null = null,
): Promise<void> {
  // Xray opens its log files even for a test, those of the running one, and fails where their folder is still missing.
  const input = JSON.stringify({ ...config, log: { access: 'none', loglevel: 'error' } })
  const { exitCode, output } = await runXray(binary, ['run', '-test', '-c', 'stdin:'], { input, assets })
  // What it cannot read of a rule it only mentions, and the rule then lets through what it was to block.
  const ignored = /ignore domain rule (.*)/.exec(output)?.[1]
  if (ignored !== undefined) fail('XRAY_REFUSED', { reason: ignored })
  if (exitCode === 0) return
  // What is no Xray has no say on a configuration.
  await xrayVersion(binary)
  fail('XRAY_REFUSED', { reason: lastMeaningfulLine(output) })
}
