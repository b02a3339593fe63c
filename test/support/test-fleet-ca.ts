import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createSecureContext, type SecureContext } from 'node:tls'
import { startAgentServer } from '#src/connectors/agent-server.ts'
import type { Listening } from '#src/connectors/listening.ts'
import type { NodeOperations } from '#src/node/operations.ts'
import { type Runtime, systemRuntime } from '#src/runtime.ts'
import { readMigrations } from '#src/store/migrate.ts'
import { openStore, type Sqlite } from '#src/store/open.ts'
import { type Ca, loadOrCreateCa } from '#src/trust/ca.ts'
import { createIdentities, type Identities } from '#src/trust/identities.ts'
import { secretBoxFor } from '#src/trust/secret-box.ts'
import { loadX509, signatureAlgorithm } from '#src/trust/x509.ts'
import { silentLog } from './silent-log.ts'

export interface Certified {
  certificatePem: string
  keyPem: string
  caPem: string
  spkiHash: string
}

/** A controller's trust, over an in-memory database: its CA, its allow-list, and servers 2, 3… that have joined. */
export interface TestFleetCa {
  db: Sqlite
  ca: Ca
  identities: Identities
  /** The controller's client side. */
  secureContext: () => SecureContext
  controller: Certified
  /** A row of a server, its key and certificate, admitted. */
  certify(serverId: number): Promise<Certified>
  /** An agent's real door with this identity, over a node. */
  serve(identity: Certified, operations: NodeOperations): Promise<Listening>
  close(): Promise<void>
}

export function openTestStore(now = Date.now()): Sqlite {
  return openStore({
    file: ':memory:',
    migrations: readMigrations(fileURLToPath(new URL('../../migrations', import.meta.url))),
    now,
  })
}

/** Adds an agent's row, as "Add server" does. */
export function addServerRow(db: Sqlite, id: number): void {
  db.prepare(
    `insert into servers (id, name, name_key, kind, created_at, updated_at) values (?, ?, ?, 'agent', 0, 0)
     on conflict (id) do nothing`,
  ).run(id, `Server ${id}`, `server ${id}`)
}

export async function createTestFleetCa(options: { runtime?: Runtime } = {}): Promise<TestFleetCa> {
  const runtime = options.runtime ?? systemRuntime()
  const db = openTestStore(runtime.now())
  const ca = await loadOrCreateCa({ db, box: secretBoxFor(Buffer.alloc(32, 3)), runtime })
  const identities = createIdentities({ db, runtime })
  const leaf = await ca.issueControllerLeaf(['127.0.0.1'])
  const context = createSecureContext({
    cert: leaf.certificatePem,
    key: leaf.keyPem,
    ca: ca.certificatePem,
    minVersion: 'TLSv1.3',
  })
  const open: Listening[] = []
  return {
    db,
    ca,
    identities,
    secureContext: () => context,
    controller: { ...leaf, caPem: ca.certificatePem },
    async certify(serverId) {
      addServerRow(db, serverId)
      const { keyPem, csrPem } = await newRequest()
      const issued = await ca.issueServerLeaf(csrPem, serverId)
      identities.admit({ ...issued, serverId })
      return { ...issued, keyPem, caPem: ca.certificatePem }
    },
    async serve(identity, operations) {
      const server = await startAgentServer({
        listen: { host: '127.0.0.1', port: 0 },
        identity,
        operations,
        runtime,
        log: silentLog(),
      })
      open.push(server)
      return server
    },
    async close() {
      await Promise.all(open.map((server) => server.close()))
      db.close()
    },
  }
}

/** A fresh P-256 key with a certificate request for it. */
export async function newRequest(
  keyPem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string,
): Promise<{ keyPem: string; csrPem: string }> {
  const x509 = await loadX509()
  const pkcs8 = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' })
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'der' })
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    // Never believed: the controller writes its own.
    name: 'CN=the controller itself',
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'fleetgram://controller' }]),
    ],
    keys: {
      privateKey: await crypto.subtle.importKey('pkcs8', pkcs8, signatureAlgorithm, false, ['sign']),
      publicKey: await crypto.subtle.importKey('spki', spki, signatureAlgorithm, true, ['verify']),
    },
    signingAlgorithm: signatureAlgorithm,
  })
  return { keyPem, csrPem: request.toString('pem') }
}
