/** Takes the secret fields of an input out of it, and puts them back. Paths are the contract's: `clients.*.uuid`. */

/** Where a value stood, and the value. */
export type SecretField = [path: (string | number)[], value: unknown]

/** The input without its secrets (a copy), and what was taken out. */
export function takeSecrets(
  input: unknown,
  paths: readonly string[],
): { open: unknown; secrets: SecretField[] } {
  const open = structuredClone(input)
  const secrets = paths.flatMap((path) => take(open, path.split('.'), []))
  return { open, secrets }
}

function take(value: unknown, path: string[], at: (string | number)[]): SecretField[] {
  const [head, ...rest] = path
  if (head === undefined || typeof value !== 'object' || value === null) return []
  if (head === '*') {
    if (!Array.isArray(value)) return []
    return value.flatMap((item, index) => take(item, rest, [...at, index]))
  }
  const fields = value as Record<string, unknown>
  if (fields[head] === undefined) return []
  if (rest.length > 0) return take(fields[head], rest, [...at, head])
  const secret = fields[head]
  delete fields[head]
  return [[[...at, head], secret]]
}

/** The input as it was before {@link takeSecrets}. */
export function putSecrets(open: unknown, secrets: readonly SecretField[]): unknown {
  const whole = structuredClone(open)
  for (const [path, value] of secrets) {
    const last = path.at(-1)
    const holder = path.slice(0, -1).reduce<unknown>((inner, part) => field(inner, part), whole)
    if (last !== undefined && typeof holder === 'object' && holder !== null)
      (holder as Record<string | number, unknown>)[last] = value
  }
  return whole
}

function field(value: unknown, part: string | number): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string | number, unknown>)[part]
    : undefined
}
