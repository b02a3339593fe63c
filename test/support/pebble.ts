import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AcmeSettings } from '#src/node/certificates/acme/settings.ts'
import { systemRuntime } from '#src/runtime.ts'
import { loadOrCreateCa } from '#src/trust/ca.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { type DnsServer, startDnsServer } from './dns-server.ts'
import { pebbleBinary } from './pebble-binary.ts'
import { openTestStore } from './test-fleet-ca.ts'
import { freePort } from './xray-client.ts'

/** A name Pebble gives no certificate for, whatever is proven. */
export const blockedDomain = 'blocked.example'

/** A certificate authority on loopback that asks as the real one does, by names that all lead to this machine. */
export interface Pebble {
  /** Where all names lead, and challenges are answered. */
  address: string
  /** How a node finds it, and where it will ask. */
  settings: AcmeSettings
  dns: DnsServer
  /** The certificate that those it issues go back to, PEM. */
  root(): Promise<string>
  /** How many orders it has been given. */
  orders(): number
  stop(): Promise<void>
  /** After `stop`, unless it runs: at the same addresses, having forgotten everything. */
  start(): Promise<void>
  /** Ends it and removes its files. */
  remove(): Promise<void>
}

const READY_WITHIN_MS = 20_000

export async function startPebble(): Promise<Pebble> {
  const dir = await mkdtemp(join(tmpdir(), 'pebble-'))
  // An address of its own: on 127.0.0.1 the port of a challenge might be in use by a connection for the moment.
  const address = `127.${randomInt(10, 250)}.${randomInt(0, 250)}.${randomInt(1, 250)}`
  const dns = await startDnsServer(address)
  const [port, managementPort] = [await freePort(), await freePort()]
  const [httpPort, tlsPort] = [await freePort(address), await freePort(address)]
  const ca = await loadOrCreateCa({
    db: openTestStore(),
    box: secretBoxFor(Buffer.alloc(32, 5)),
    runtime: systemRuntime(),
  })
  const leaf = await ca.issueControllerLeaf(['127.0.0.1'])
  const file = (name: string): string => join(dir, name)
  await writeFile(file('ca.pem'), ca.certificatePem)
  await writeFile(file('cert.pem'), leaf.certificatePem)
  await writeFile(file('key.pem'), leaf.keyPem, { mode: 0o600 })
  await writeFile(
    file('config.json'),
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${managementPort}`,
        certificate: file('cert.pem'),
        privateKey: file('key.pem'),
        httpPort,
        tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: false,
        domainBlocklist: [blockedDomain],
        retryAfter: { authz: 1, order: 1 },
        keyAlgorithm: 'ecdsa',
        profiles: { default: { description: 'as the real one', validityPeriod: 90 * 24 * 60 * 60 } },
      },
    }),
  )

  let child: ChildProcess | undefined
  let said = ''
  const killWithUs = (): void => void child?.kill('SIGKILL')
  process.once('exit', killWithUs)
  const get = (url: string) => fetchText(url, ca.certificatePem)

  const pebble: Pebble = {
    address,
    settings: {
      directory: `https://127.0.0.1:${port}/dir`,
      caFile: file('ca.pem'),
      listen: address,
      httpPort,
      tlsPort,
    },
    dns,
    root: () => get(`https://127.0.0.1:${managementPort}/roots/0`),
    orders: () => said.match(/Added order "/g)?.length ?? 0,

    async start() {
      if (child !== undefined) return
      const started = spawn(pebbleBinary(), ['-config', file('config.json'), '-dnsserver', dns.address], {
        env: {
          PEBBLE_VA_NOSLEEP: '1',
          // Every order is to be proven anew, as by a machine that comes back after 60 days.
          PEBBLE_AUTHZREUSE: '0',
          // Far more often than the real one.
          PEBBLE_WFE_NONCEREJECT: '15',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      child = started
      for (const stream of [started.stdout, started.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => (said += text))
      }
      const giveUpAt = Date.now() + READY_WITHIN_MS
      for (;;) {
        try {
          await get(pebble.settings.directory)
          return
        } catch (error) {
          if (Date.now() > giveUpAt || started.exitCode !== null)
            throw new Error(`Pebble did not start: ${said.slice(-500)}`, { cause: error })
          await new Promise((resolve) => setTimeout(resolve, 25))
        }
      }
    },

    async stop() {
      if (child === undefined) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      child = undefined
    },

    async remove() {
      process.off('exit', killWithUs)
      await pebble.stop()
      await dns.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
  await pebble.start()
  return pebble
}

function fetchText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { ca, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.once('end', () => resolve(text)).once('error', reject)
    })
      .once('error', reject)
      .end()
  })
}
