/** ECDSA on P-256 with SHA-256: what every TLS stack speaks, with small certificates. */
export const signatureAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/**
 * The library that makes certificates. Loaded when one is made and not before: an agent makes one request in its
 * life, and would otherwise carry the library in memory for ever.
 */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  const { x509 } = await import('./x509-library.ts')
  return x509
}
