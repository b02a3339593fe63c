import { expect, test } from 'vitest'
import { putSecrets, takeSecrets } from './secret-fields.ts'

const input = {
  id: 'main',
  uuid: 'top',
  clients: [{ email: 'a', uuid: '1' }, { email: 'b' }, { email: 'c', uuid: '3' }],
}

test('secret fields are taken out of a copy, and put back where they stood', () => {
  const { open, secrets } = takeSecrets(input, ['clients.*.uuid', 'uuid', 'absent.*.x', 'id.deeper'])
  expect(open).toEqual({ id: 'main', clients: [{ email: 'a' }, { email: 'b' }, { email: 'c' }] })
  expect(secrets).toEqual([
    [['clients', 0, 'uuid'], '1'],
    [['clients', 2, 'uuid'], '3'],
    [['uuid'], 'top'],
  ])
  expect(putSecrets(open, secrets)).toEqual(input)
  expect(input.clients[0]?.uuid).toBe('1')
})

test('an input without secrets stays as it is', () => {
  expect(takeSecrets(undefined, ['uuid'])).toEqual({ open: undefined, secrets: [] })
  expect(takeSecrets({ a: 1 }, [])).toEqual({ open: { a: 1 }, secrets: [] })
})
