import 'reflect-metadata'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import * as x509 from '@peculiar/x509'

const dripBytes = 20_000
const dripEveryMs = 50

/**
 * A TLS 1.3 site on loopback, for REALITY to borrow its handshake. `target` is its host:port. Whoever says something
 * to it gets 400 kB a second until they hang up.
 */
export async function startTlsTarget(
  name = 'site.example',
): Promise<{ target: string; stop(): Promise<void> }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  })
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  const server = createServer({
    key,
    cert: certificate.toString('pem'),
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2', 'http/1.1'],
  })
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      const drip = setInterval(() => socket.write(Buffer.alloc(dripBytes)), dripEveryMs)
      socket.once('close', () => clearInterval(drip))
    })
  })
  // REALITY hangs up in the middle of handshakes; that is its business.
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    target: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close()
      await once(server, 'close')
    },
  }
}
