import { expect, test } from 'vitest'
import { lookWho } from './presence.ts'

/** Anna stands in two inbounds, and comes through both from one place; Bert through one. */
const seen: Record<string, { ip: string; lastSeen: number }[]> = {
  'anna#1': [
    { ip: '[2001:db8::7]', lastSeen: 100 },
    { ip: '192.0.2.1', lastSeen: 300 },
  ],
  'anna#2': [
    { ip: '2001:db8::7', lastSeen: 200 },
    { ip: '192.0.2.1', lastSeen: 50 },
  ],
  'bert#1': [{ ip: '192.0.2.2', lastSeen: 1 }],
  'gone#1': [],
  // Nobody of ours.
  somebody: [{ ip: '192.0.2.3', lastSeen: 1 }],
}

function openXray() {
  const asked: string[] = []
  return {
    asked,
    online: async () => Object.keys(seen),
    addresses: async (names: readonly string[]) => {
      asked.push(...names)
      return names.flatMap((email) => ({ email, ips: seen[email] ?? [] })).filter(({ ips }) => ips.length > 0)
    },
  }
}

test('each client once, and each address once, without brackets, as it was seen last', async () => {
  expect(await lookWho(openXray())).toEqual([
    {
      email: 'anna',
      ips: [
        { ip: '2001:db8::7', lastSeen: 200 },
        { ip: '192.0.2.1', lastSeen: 300 },
      ],
    },
    { email: 'bert', ips: [{ ip: '192.0.2.2', lastSeen: 1 }] },
  ])
})

test('of those alone who are chosen Xray is asked', async () => {
  const xray = openXray()
  const online = await lookWho(xray, (emails) => emails.filter((email) => email === 'bert'))
  expect(xray.asked).toEqual(['bert#1'])
  expect(online).toEqual([
    { email: 'anna', ips: null },
    { email: 'bert', ips: [{ ip: '192.0.2.2', lastSeen: 1 }] },
    { email: 'gone', ips: null },
  ])
})
