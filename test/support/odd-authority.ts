import { createServer, type Server } from 'node:https'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AcmeSettings } from '#src/node/certificates/acme/settings.ts'
import { systemRuntime } from '#src/runtime.ts'
import { loadOrCreateCa } from '#src/trust/ca.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { openTestStore } from './test-fleet-ca.ts'
import { freePort } from './xray-client.ts'

export interface OddAnswer {
  status: number
  body?: object
  headers?: Record<string, string>
}

/** A certificate authority that answers what a test says: for what Pebble never does. */
export interface OddAuthority {
  settings: AcmeSettings
  /** Its own address, for the addresses in its answers. */
  origin: string
  /** Every request: `POST /order`. */
  asked: string[]
  stop(): Promise<void>
}

/** @param answers by method and path, before those of an authority that is well up to its orders */
export async function startOddAuthority(
  answers: (origin: string) => Record<string, OddAnswer>,
): Promise<OddAuthority> {
  const dir = await mkdtemp(join(tmpdir(), 'authority-'))
  const ca = await loadOrCreateCa({
    db: openTestStore(),
    box: secretBoxFor(Buffer.alloc(32, 6)),
    runtime: systemRuntime(),
  })
  const leaf = await ca.issueControllerLeaf(['127.0.0.1'])
  const caFile = join(dir, 'ca.pem')
  await writeFile(caFile, ca.certificatePem)
  const asked: string[] = []
  const server: Server = createServer(
    { cert: leaf.certificatePem, key: leaf.keyPem },
    (request, response) => {
      const what = `${request.method} ${request.url}`
      asked.push(what)
      const { status, body, headers } = { ...usual(origin), ...answers(origin) }[what] ?? { status: 404 }
      response.writeHead(status, { 'replay-nonce': `n${asked.length}`, ...headers })
      response.end(body === undefined ? '' : JSON.stringify(body))
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    asked,
    settings: {
      directory: `${origin}/dir`,
      caFile,
      listen: '127.0.0.1',
      httpPort: await freePort(),
      tlsPort: await freePort(),
    },
    async stop() {
      await new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Up to an order whose only name waits to be proven. */
function usual(origin: string): Record<string, OddAnswer> {
  const directory = {
    newNonce: `${origin}/nonce`,
    newAccount: `${origin}/account`,
    newOrder: `${origin}/new`,
  }
  const challenges = [{ type: 'http-01', url: `${origin}/challenge`, token: 'token' }]
  return {
    'GET /dir': { status: 200, body: directory },
    'HEAD /nonce': { status: 200 },
    'POST /account': { status: 201, body: { status: 'valid' }, headers: { location: `${origin}/account/1` } },
    'POST /new': {
      status: 201,
      body: { status: 'pending', authorizations: [`${origin}/authz`], finalize: `${origin}/finalize` },
      headers: { location: `${origin}/order` },
    },
    'POST /authz': { status: 200, body: { status: 'pending', challenges } },
    'POST /challenge': { status: 200, body: {} },
    'POST /order': { status: 200, body: { status: 'pending' } },
  }
}
