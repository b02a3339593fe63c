import { describe, expect, test } from 'vitest'
import { deletedSince } from './deletions.ts'

const DAY = 24 * 60 * 60 * 1000
const START = 100 * DAY

/** Changes a second apart, from START on. */
const since = (from: number, ...changes: [operation: string, input: object][]) =>
  deletedSince(
    from,
    changes.map(([operation, input], n) => ({ operation, input, at: START + n * 1_000 })),
  )
const add = (...emails: string[]): [string, object] => [
  'clients.add',
  { id: 'main', clients: emails.map((email) => ({ email })) },
]
const remove = (email: string): [string, object] => ['clients.delete', { email }]

describe('what was deleted since', () => {
  test('is told by name, and nothing else is', () => {
    expect(
      since(
        START,
        add('anna', 'bert'),
        remove('Anna'),
        ['clients.update', { email: 'bert', enabled: false }],
        ['inbounds.add', { tag: 'a' }],
        ['inbounds.delete', { id: 'a' }],
        ['inbounds.delete', { id: '7' }],
        ['xray.restart', {}],
      ),
    ).toEqual({ clients: [{ email: 'Anna' }], inbounds: [{ inbound: 'a' }, { inbound: '7' }] })
  })

  test('tells of many that were deleted in one call', () => {
    const many: [string, object] = ['clients.deleteMany', { emails: ['anna', 'bert'] }]
    expect(since(START, add('anna', 'bert', 'carl'), many, add('bert')).clients).toEqual([
      { email: 'anna' },
      { email: 'bert', at: START + 1_000 },
    ])
  })

  test('leaves out what was deleted more than a day before: clocks differ by less', () => {
    expect(since(START + 30 * DAY, remove('anna')).clients).toEqual([])
    expect(since(START + DAY - 60_000, remove('anna')).clients).toEqual([{ email: 'anna' }])
  })

  test('a name that was given again is of the one before only up to then', () => {
    expect(since(START, remove('anna'), add('x'), add('ANNA')).clients).toEqual([
      { email: 'anna', at: START },
    ])
    // And once that one is gone too, of none.
    expect(since(START, remove('anna'), add('anna'), remove('anna')).clients).toEqual([{ email: 'anna' }])
  })

  test('an inbound goes under every name it had, for as long as it had it', () => {
    expect(
      since(
        START,
        ['inbounds.add', { tag: 'a' }],
        ['inbounds.update', { id: 'a', tag: 'b' }],
        ['inbounds.update', { id: 'b', tag: 'c' }],
        ['inbounds.add', { tag: 'a' }],
        ['inbounds.update', { id: 'c', remark: 'x' }],
        ['inbounds.delete', { id: 'c' }],
      ).inbounds,
    ).toEqual([{ inbound: 'a', at: START + 1_000 }, { inbound: 'b', at: START + 2_000 }, { inbound: 'c' }])
  })

  test('an inbound that takes the name of one that is gone is not gone', () => {
    expect(
      since(START, ['inbounds.delete', { id: 'a' }], ['inbounds.update', { id: 'b', tag: 'a' }]).inbounds,
    ).toEqual([{ inbound: 'a', at: START }])
  })

  test('a certificate goes by its domain, and one that was got or imported later is another', () => {
    const gone = (domain: string): [string, object] => ['certificates.delete', { domain }]
    expect(
      since(
        START,
        gone('a.example'),
        gone('b.example'),
        ['certificates.generate', { domain: 'b.example', method: 'http-01' }],
        ['certificates.renew', { domain: 'a.example' }],
        gone('c.example'),
        ['certificates.import', { domain: 'c.example' }],
        gone('c.example'),
      ).certificates,
    ).toEqual([{ domain: 'a.example' }, { domain: 'b.example', at: START + 1_000 }, { domain: 'c.example' }])
  })
})
