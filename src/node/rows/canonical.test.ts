import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, hashOf } from './canonical.ts'

test('is JSON of the same value, with the keys of every object in order', () => {
  expect(canonicalJson({ b: [{ d: 1, c: null }, undefined, 'x"y'], a: { 10: true, 9: -0.5 } })).toBe(
    '{"a":{"10":true,"9":-0.5},"b":[{"c":null,"d":1},null,"x\\"y"]}',
  )
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('does not depend on the order in which fields were set, nor on those without a value', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const turned = Object.fromEntries([...Object.entries(value).toReversed(), ['absent', undefined]])
      delete value['absent']
      expect(canonicalJson(turned)).toBe(canonicalJson(value))
    }),
  )
})

test('the hash of the text stays what it was: journals hold it', () => {
  expect(hashOf({ b: 1, a: ['x'] })).toBe('m_zhgGFOiq_-ilIITnvj7jtMLnQMrieTVQF3-VPxHAQ')
})
