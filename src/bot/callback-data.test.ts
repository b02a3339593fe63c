import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeTap, encodeTap, type Tap, verbNames } from './callback-data.ts'
import { isWizardTap } from './wizards/run.ts'

const id = fc.nat({ max: 2 ** 31 - 1 })
const word = fc.stringMatching(/^[\w-]{1,44}$/)
const any: Record<string, fc.Arbitrary<unknown>> = {
  server: id,
  page: id,
  inbound: id,
  client: id,
  link: id,
  from: id,
  cert: word,
  batch: word,
  task: word,
  nonce: word,
  filter: fc.constantFrom('all', 'disabled'),
  limit: fc.constantFrom('traffic', 'end', 'addresses', 'period'),
  found: fc.constantFrom('no', 'yes'),
  field: fc.constantFrom('name', 'publicAddress', 'alias', 'notes'),
}
// Which fields a verb has is learnt from a value that decodes, so that a new verb cannot be forgotten here.
const tap = fc
  .constantFrom(...verbNames)
  .chain((verb) => fc.record(any).map((fields) => ({ verb, fields }) as unknown as Tap))

test('every button survives the way to Telegram and back, within 64 bytes', () => {
  fc.assert(
    fc.property(tap, ({ verb, fields }) => {
      const data = encodeTap(verb, fields)
      expect(Buffer.byteLength(data)).toBeLessThanOrEqual(64)
      // One of a form can read like any other: what it begins with must tell.
      expect(isWizardTap(data)).toBe(false)
      const back = decodeTap(data)
      expect(back?.verb).toBe(verb)
      expect(fields).toMatchObject(back?.fields ?? {})
      expect(encodeTap(verb, back?.fields as never)).toBe(data)
    }),
    { numRuns: 2_000 },
  )
})

test('what it does not know is undefined, never a throw', () => {
  for (const data of [
    '',
    '.',
    's',
    's.',
    's.-1',
    's.1.2',
    's.ZZ',
    'zzz.1',
    'cs.1.1.9.0',
    'server/0/0/1/fabcd',
    'd.a b',
  ]) {
    expect(decodeTap(data), data).toBeUndefined()
  }
  fc.assert(fc.property(fc.string(), (data) => void decodeTap(data)))
})
