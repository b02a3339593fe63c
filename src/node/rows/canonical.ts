import { hash } from 'node:crypto'

/** JSON with keys in order, so that equal values have equal text. Undefined fields count as absent. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`)
  return `{${fields.join()}}`
}

export function hashOf(value: unknown): string {
  return hash('sha256', canonicalJson(value), 'base64url')
}
