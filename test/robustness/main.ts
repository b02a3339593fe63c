/**
 * `npm run robustness`: what an agent serves, met by requests made from its own description, right and wrong ones. None
 * may be answered with a failure of the server, none that the contract forbids may be accepted, and every answer must
 * be as described. A real node with a real Xray; the requests are Schemathesis's, the same ones every time.
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createContractHandler } from '#src/connectors/http.ts'
import { describeApi } from '#src/connectors/openapi.ts'
import { apiPrefix, clientInput, inboundInput } from '#src/contract/index.ts'
import { FleetError, fail } from '#src/errors.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { productVersion } from '#src/version.ts'
import { findXray } from '#src/xray/programs/binary.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { startTestNode } from '#test/support/test-node.ts'
import { freePort } from '#test/support/xray-client.ts'

const SCHEMATHESIS = '4.32.5'
const cacheDir = join(import.meta.dirname, '../../.cache')
const tools = join(cacheDir, `schemathesis-${SCHEMATHESIS}`)

/** Requests to each operation beside those made from every corner of its description: a minute in all on two idle cores. */
const MAX_EXAMPLES = '25'

/** They take away what the others need, reach into the internet, or answer with a stream. */
const left = '^/(xray/(stop|install|versions)|geofiles|backup|restore|events|logs/tail)'

const there = { inbounds: ['in-1', 'in-2'], clients: ['anna', 'bert'], domains: ['example.com'] }
const valuesOf: Record<string, readonly string[]> = { email: there.clients, domain: there.domains }

const checks = [
  'not_a_server_error',
  'negative_data_rejection',
  'response_schema_conformance',
  'content_type_conformance',
  'missing_required_header',
].join(',')

/** Runs a program to its end; what it says goes to ours. @returns its exit code */
async function run(program: string, args: readonly string[], cwd = tmpdir()): Promise<number> {
  const [code] = (await once(spawn(program, args, { cwd, stdio: 'inherit' }), 'close')) as [number | null]
  return code ?? 1
}

/**
 * The description for Schemathesis: with names of what is there, since chance would meet none; and without the forms of
 * lists that have one per place, which it mistakes, so that it looks at their length alone.
 */
function readable(document: object): string {
  return JSON.stringify(document, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value
    if ('prefixItems' in value) {
      const { prefixItems: _, items: __, ...list } = value as Record<string, unknown>
      return list
    }
    if (!('in' in value && value.in === 'path' && 'name' in value)) return value
    const known = valuesOf[String(value.name)] ?? there.inbounds
    return { ...value, schema: { type: 'string', enum: known } }
  })
}

/** What every request finds: an inbound of either kind of users, and clients in them. */
async function settle(operations: NodeOperations): Promise<void> {
  const key = () => ({ idempotencyKey: randomUUID() })
  const present = await operations['inbounds.list'](undefined, {})
  for (const { tag } of present.filter((inbound) => !there.inbounds.includes(inbound.tag)))
    await operations['inbounds.delete']({ id: tag }, key())
  for (const [index, tag] of there.inbounds.entries()) {
    if (present.some((inbound) => inbound.tag === tag)) continue
    const stream = { transport: { type: 'raw' }, security: { type: 'none' } }
    const more = index === 0 ? { protocol: 'vless', stream } : { protocol: 'mixed' }
    const given = { tag, port: await freePort(), listen: '127.0.0.1', ...more }
    await operations['inbounds.add'](inboundInput.parse(given), key())
  }
  const { clients } = await operations['sync.changes']({ epoch: '', since: 0, trafficSince: 0 }, {})
  const standing = new Set(clients.filter((client) => client.inbounds.length > 1).map(({ email }) => email))
  const missing = there.clients.filter((email) => !standing.has(email))
  const strangers = clients
    .map(({ email }) => email)
    .filter((email) => !there.clients.includes(email) || !standing.has(email))
  if (strangers.length > 0) await operations['clients.deleteMany']({ emails: strangers }, key())
  if (missing.length === 0) return
  const joining = missing.map((email) =>
    clientInput.parse({ email, uuid: randomUUID(), subscriptionId: randomUUID() }),
  )
  for (const id of there.inbounds) await operations['clients.add']({ id, clients: joining }, key())
}

/** No certificate authority is bothered with any of this. */
const wantsAuthority = (input: unknown): boolean =>
  !(typeof input === 'object' && input !== null && 'method' in input && input.method === 'self-signed')

async function fetchTools(): Promise<void> {
  if (existsSync(join(tools, 'bin/schemathesis'))) return
  const steps = [
    ['python3', '-m', 'venv', tools],
    [
      join(tools, 'bin/pip'),
      'install',
      '--quiet',
      '--disable-pip-version-check',
      `schemathesis==${SCHEMATHESIS}`,
    ],
  ]
  for (const [program = '', ...args] of steps) {
    if ((await run(program, args)) === 0) continue
    await rm(tools, { recursive: true, force: true })
    throw new Error(`${program} ${args.join(' ')} failed`)
  }
}

await fetchTools()
const say = (_details: object, message: string): void => console.log(message)
const binary = await findXray({ env: process.env, cacheDir, log: { ...silentLog(), info: say, warn: say } })
const dir = await mkdtemp(join(tmpdir(), 'robustness-'))
const it = await startTestNode({ binary, parent: dir })
const failures: object[] = []
/** Of inbounds, which are as many as all others together and open and close a port each, one in ten gets further. */
let asked = 0
/** What became of the requests that got as far as the node, by operation. */
const answered = new Map<string, Map<string, number>>()
const operations = Object.fromEntries(
  Object.entries(it.node.operations).map(([name, work]) => [
    name,
    async (...given: never[]) => {
      const counts = answered.get(name) ?? new Map<string, number>()
      answered.set(name, counts)
      const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1)
      try {
        if (name === 'inbounds.add' && asked++ % 10 > 0) fail('PORT_TAKEN', { port: 0, by: 'sampling' })
        if (name === 'certificates.generate' && wantsAuthority(given[0]))
          fail('ACME_REFUSED', { domain: 'example.com', reason: 'nobody is asked here' })
        const answer = await (work as (...all: never[]) => Promise<unknown>)(...given)
        count('done')
        await settle(it.node.operations)
        return answer
      } catch (error) {
        count(error instanceof FleetError ? error.code : 'INTERNAL')
        throw error
      }
    },
  ]),
) as unknown as NodeOperations
const serve = createContractHandler(operations, {
  log: { ...silentLog(), error: (details, message) => void failures.push({ message, ...details }) },
})
const server = createServer((request, response) => {
  // The keys made by chance are nearly all the same one, and would make a conflict of every change.
  const key = request.headers['idempotency-key']
  if (typeof key === 'string' && /^[\x21-\x7e]{1,128}$/.test(key)) {
    request.headers['idempotency-key'] = randomUUID()
  }
  serve(request, response)
})
await settle(it.node.operations)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
try {
  const { port } = server.address() as AddressInfo
  const description = join(dir, 'openapi.json')
  await writeFile(description, readable(await describeApi(productVersion())))
  const args = [
    'run',
    description,
    `--url=http://127.0.0.1:${port}${apiPrefix}`,
    `--checks=${checks}`,
    `--exclude-path-regex=${left}`,
    '--phases=examples,coverage,fuzzing',
    `--max-examples=${MAX_EXAMPLES}`,
    '--generation-deterministic',
    '--suppress-health-check=all',
    '--request-timeout=40',
    '--continue-on-failure',
    '--warnings=off',
    '--no-color',
  ]
  // It leaves files where it is.
  process.exitCode = await run(join(tools, 'bin/schemathesis'), args, dir)
  for (const [name, counts] of answered) {
    console.log(`${name.padEnd(22)}${[...counts].map(([what, count]) => `${what} ${count}`).join(', ')}`)
  }
  // What the log alone tells, for whoever has to mend it.
  for (const failure of failures.slice(0, 20)) console.error(JSON.stringify(failure))
} finally {
  server.close()
  server.closeAllConnections()
  await it.stop()
  await rm(dir, { recursive: true, force: true })
}
