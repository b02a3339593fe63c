import type { AcmeSettings } from '#src/node/certificates/acme/settings.ts'
import { openCertificateDesk } from './certificate-desk.ts'

// A process of its own that orders a certificate for the node of a folder, so that a test can kill it.
const [dir = '', acme = '', domain = '', idempotencyKey = ''] = process.argv.slice(2)
const desk = await openCertificateDesk({ dir, acme: JSON.parse(acme) as AcmeSettings })
console.log('ordering')
await desk.operations['certificates.generate']({ domain, method: 'http-01' }, { idempotencyKey })
console.log('ordered')
