import { expect, test } from 'vitest'
import { createTempStore } from '#test/support/temp-store.ts'
import { prepareInsertMany, type Row } from './insert-many.ts'

test.each([0, 1, 99, 100, 101, 250])('writes %i rows, each once and in its own columns', (count) => {
  const store = createTempStore(0)
  try {
    const { $client } = store.db()
    const insert = prepareInsertMany($client, {
      table: 'xray_counters',
      columns: ['name', 'xray_start', 'value'],
      onConflict: 'on conflict (name) do update set value = value + excluded.value',
    })
    const rows = Array.from({ length: count }, (_, index): Row => [`n${index}`, 'start', index])
    insert(rows)
    insert(rows)
    expect(
      $client.prepare('select name, xray_start, value from xray_counters order by value').raw().all(),
    ).toEqual(rows.map(([name, start, value]) => [name, start, 2 * Number(value)]))
  } finally {
    store.remove()
  }
})
