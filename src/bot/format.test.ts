import { expect, test } from 'vitest'
import { bytes, isReachable } from './format.ts'

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

test.each([
  ['that is online', { kind: 'agent', status: 'online', endpoint: 'https://x' }, true],
  ['whose Xray is down', { kind: 'agent', status: 'error', endpoint: 'https://x' }, true],
  ['that is offline', { kind: 'agent', status: 'offline', endpoint: 'https://x' }, false],
  [
    'that has joined, and was not looked at yet',
    { kind: 'agent', status: 'pending', endpoint: 'https://x' },
    true,
  ],
  ['that has not joined', { kind: 'agent', status: 'pending', endpoint: null }, false],
  [
    'of the controller itself, before it was looked at',
    { kind: 'local', status: 'pending', endpoint: null },
    true,
  ],
] as const)('whether changes reach a server %s', (_, server, reaches) => {
  expect(isReachable(server)).toBe(reaches)
})
