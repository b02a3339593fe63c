/**
 * A copy of a value as JSON would have made it. Plain data is copied by hand: for the little that most calls carry,
 * writing and reading JSON takes several times as long.
 */
export function throughJson(value: unknown): unknown {
  if (value === null) return null
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (Array.isArray(value)) return value.map((item: unknown) => throughJson(item) ?? null)
  if (!isPlain(value)) return JSON.parse(JSON.stringify(value))
  const fields: [string, unknown][] = []
  for (const [name, field] of Object.entries(value)) {
    const copy = throughJson(field)
    if (copy !== undefined) fields.push([name, copy])
  }
  return Object.fromEntries(fields)
}

/** Neither an instance of a class nor with a say in what JSON makes of it. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
