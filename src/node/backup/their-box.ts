import { fail } from '#src/errors.ts'
import { type SecretBox, keyId, secretBoxFor } from '#src/trust/secret-box.ts'

const fromText = (key: string): Buffer => Buffer.from(key, 'base64')

/**
 * @param needed ids of the keys that sealed what is in a backup
 * @param given the key that came with it, base64
 * @throws FleetError BACKUP_OTHER_KEY with the first that is missing
 */
export function requireKeys(needed: readonly string[], box: SecretBox, given: string | undefined): void {
  const known = [...box.keyIds, ...(given === undefined ? [] : [keyId(fromText(given))])]
  const missing = needed.find((id) => !known.includes(id))
  if (missing !== undefined) fail('BACKUP_OTHER_KEY', { key: missing })
}

/** Opens what this machine has sealed, and what the given key has. It seals as this machine does. */
export function theirBox(box: SecretBox, given: string | undefined): SecretBox {
  if (given === undefined) return box
  const theirs = secretBoxFor(fromText(given))
  return {
    ...box,
    open: (sealed, place) =>
      box.keyIds.some((id) => sealed.startsWith(`${id}:`))
        ? box.open(sealed, place)
        : theirs.open(sealed, place),
  }
}
