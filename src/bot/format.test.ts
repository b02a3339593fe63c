import { expect, test } from 'vitest'
import { bytes } from './format.ts'

const GB = 1024 ** 3

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KB'],
  [1536, '1.5 KB'],
  [25 * GB, '25 GB'],
  [25.04 * GB, '25 GB'],
  [25.06 * GB, '25.1 GB'],
  [100.4 * GB, '100 GB'],
  [1023.96 * GB, '1 TB'],
])('%d bytes are %s: a whole amount without a decimal', (count, words) => {
  expect(bytes(count)).toBe(words)
})
