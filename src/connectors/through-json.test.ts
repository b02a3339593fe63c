import fc from 'fast-check'
import { expect, test } from 'vitest'
import { throughJson } from './through-json.ts'

const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('makes of any value what JSON makes of it, and shares nothing with it', () => {
  const values = fc.anything({ withDate: true, withNullPrototype: true, withSparseArray: true })
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), values), fc.array(values)), (value) => {
      const copy = throughJson(value)
      expect(JSON.stringify(copy)).toBe(JSON.stringify(json(value)))
      if (typeof value === 'object' && value !== null) expect(copy).not.toBe(value)
    }),
    { numRuns: 1_000 },
  )
})

test('a field that would set the prototype is a field, one without a value is left out', () => {
  const value = JSON.parse('{"__proto__": {"isAdmin": true}, "a": [1]}') as Record<string, unknown>
  const copy = throughJson({ ...value, b: undefined, c: Number.NaN, d: new Date(0) }) as Record<
    string,
    unknown
  >
  expect(Object.getPrototypeOf(throughJson(value))).toBe(Object.prototype)
  expect(Object.keys(throughJson(value) as object)).toEqual(['__proto__', 'a'])
  expect('isAdmin' in copy).toBe(false)
  expect(copy).toMatchObject({ a: [1], c: null, d: '1970-01-01T00:00:00.000Z' })
  expect('b' in copy).toBe(false)
  expect(copy['a']).not.toBe(value['a'])
})

test('nothing stays nothing', () => {
  expect(throughJson(undefined)).toBeUndefined()
  expect(throughJson(null)).toBeNull()
})
