/** Keys of Xray's configuration under which secrets stand, and how they are shown. Pure. */

/** In lower case: Xray reads keys without regard to case. */
const secretKeys = new Set([
  'privatekey',
  'secretkey',
  'presharedkey',
  'id',
  'password',
  'pass',
  'auth',
  'key',
  'seed',
  'mldsa65seed',
  'echserverkeys',
  'shortid',
  'shortids',
  'authorization',
  'proxy-authorization',
  'cookie',
])

/** What stands in the place of a secret. */
export const masked = '***'

export const isSecretKey = (key: string): boolean => secretKeys.has(key.toLowerCase())

/** The same configuration with every key and credential replaced by `***`, to be shown. */
export function maskSecrets(config: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, maskValue(key, value)]))
}

function maskValue(key: string, value: unknown): unknown {
  if (isSecretKey(key)) return Array.isArray(value) ? value.map(() => masked) : masked
  if (Array.isArray(value)) return value.map((item: unknown) => maskValue('', item))
  return typeof value === 'object' && value !== null ? maskSecrets(value) : value
}
