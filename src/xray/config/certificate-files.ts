import { join } from 'node:path'

/** The folder of the certificates that the Xray of a folder may use. */
export function certificatesDir(xrayDir: string): string {
  return join(xrayDir, 'certs')
}

/**
 * Where Xray finds the certificate of a domain, chain and key in one file: as Xray reads them one after the other, and
 * an inbound opened with two that do not belong together would stay without a certificate, no reader may ever meet
 * half a change. Both are to be named in `certificates` of an inbound's TLS settings, as absolute paths.
 * @param domain a name or an IP address, as the contract writes it
 */
export function certificateFiles(
  xrayDir: string,
  domain: string,
): { certificateFile: string; keyFile: string } {
  const file = join(certificatesDir(xrayDir), `${domain}.pem`)
  return { certificateFile: file, keyFile: file }
}
