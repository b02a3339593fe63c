import { createSecureContext, type SecureContext } from 'node:tls'
import type { Runtime } from '#src/runtime.ts'
import type { Ca, Leaf } from './ca.ts'

/** How often the age of the certificate is looked at: a twelfth of a day against weeks of life. */
const LOOK_EVERY_MS = 2 * 60 * 60 * 1000
/** Renewed from here on, so that two thirds of its life remain for it to work out. */
const RENEW_AFTER = 1 / 3

interface TlsMaterial {
  /** The leaf and after it the CA's certificate, which a joining machine compares with its pin. */
  cert: string
  key: string
  ca: string
  minVersion: 'TLSv1.3'
}

/** The controller's own certificate, towards agents as their client and towards joining machines as their server. */
export interface ControllerTls {
  /** One for all connections, since making one is slow. Another after a renewal: do not keep it. */
  secureContext(): SecureContext
  material(): TlsMaterial
  /** Told after every renewal, until unsubscribed. */
  onRenewed(listener: () => void): () => void
  close(): void
}

/**
 * Issues the controller's certificate and keeps it fresh while the controller runs.
 * @param hosts names and addresses it answers at
 * @param onError told when a renewal failed; it is tried again
 */
export async function createControllerTls(options: {
  ca: Ca
  hosts: readonly string[]
  runtime: Pick<Runtime, 'now' | 'sleep'>
  onError: (error: unknown) => void
}): Promise<ControllerTls> {
  const { ca, hosts, runtime, onError } = options
  const listeners = new Set<() => void>()
  const end = new AbortController()

  const issue = async (): Promise<{ leaf: Leaf; material: TlsMaterial; context: SecureContext }> => {
    const leaf = await ca.issueControllerLeaf(hosts)
    const cert = leaf.certificatePem + ca.certificatePem
    const material: TlsMaterial = { cert, key: leaf.keyPem, ca: ca.certificatePem, minVersion: 'TLSv1.3' }
    return { leaf, material, context: createSecureContext(material) }
  }

  let current = await issue()

  const keepFresh = async (): Promise<void> => {
    for (;;) {
      await runtime.sleep(LOOK_EVERY_MS, end.signal)
      const { notBefore, notAfter } = current.leaf
      if (runtime.now() < notBefore + (notAfter - notBefore) * RENEW_AFTER) continue
      try {
        current = await issue()
        for (const listener of listeners) listener()
      } catch (error) {
        onError(error)
      }
    }
  }
  // Ends by the abort alone.
  keepFresh().catch(() => undefined)

  return {
    secureContext: () => current.context,
    material: () => current.material,
    onRenewed(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    close: () => end.abort(),
  }
}
