/** Where certificates are ordered, and where this machine answers the authority's challenges. */
export interface AcmeSettings {
  /** The https URL of the certificate authority's directory. */
  directory: string
  /** A file of PEM certificates that vouch for the directory's own; without one, those that Node trusts. */
  caFile?: string | undefined
  /** The IP address to answer challenges on; without one, all of this machine's. */
  listen?: string | undefined
  /** The authority asks on ports 80 and 443, so others are of use only where something forwards to them. */
  httpPort: number
  tlsPort: number
}

/** Let's Encrypt, on the ports it asks on. */
export const defaultAcme: AcmeSettings = {
  directory: 'https://acme-v02.api.letsencrypt.org/directory',
  httpPort: 80,
  tlsPort: 443,
}
