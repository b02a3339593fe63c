import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { leading, lookUpByDns } from './domain-check.ts'

describe('where a domain leads', () => {
  const own = ['198.51.100.4', '2001:db8::4']

  test.each([
    ['nobody said', undefined, own, { to: 'unknown' }],
    ['there is no record', [], own, { to: 'nowhere' }],
    ['it leads to the server', ['198.51.100.4'], own, { to: 'here' }],
    ['by IPv6 too, however that is written', ['198.51.100.4', '2001:DB8:0:0::4'], own, { to: 'here' }],
    ['no address of the server is known', ['198.51.100.4'], [], { to: 'unknown' }],
    ['none of that kind is known', ['2001:db8::9'], ['198.51.100.4'], { to: 'unknown' }],
    ['the other kind says nothing', ['198.51.100.4', '2001:db8::9'], ['198.51.100.4'], { to: 'here' }],
    ['it leads elsewhere', ['203.0.113.9'], own, { to: 'elsewhere', strange: ['203.0.113.9'] }],
    [
      'one of two is not the server’s: an authority may ask there',
      ['198.51.100.4', '2001:db8::9'],
      own,
      { to: 'elsewhere', strange: ['2001:db8::9'] },
    ],
  ])('%s', (_, found, known, answer) => {
    expect(leading(found, known)).toEqual({ strange: [], own: known, ...answer })
  })
})

describe('asking name servers', () => {
  const sockets: Socket[] = []
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close()
  })

  /** A name server by UDP: `led.example` has an IPv4 address, `silent.example` no answer, any other name is none. */
  async function nameServer(): Promise<string> {
    const socket = createSocket('udp4')
    sockets.push(socket)
    socket.on('message', (query, from) => {
      const [isLed, isSilent] = ['led', 'silent'].map((label) => query.includes(label))
      if (isSilent === true) return
      // The type stands behind the name's last byte, which is 0; 1 is A.
      const typeAt = query.indexOf(0, 12) + 1
      const isA = isLed === true && query.readUInt16BE(typeAt) === 1
      const head = Buffer.from(query.subarray(0, typeAt + 4))
      head.writeUInt16BE(isLed === true ? 0x8180 : 0x8183, 2)
      head.writeUInt16BE(isA ? 1 : 0, 6)
      head.writeUInt32BE(0, 8)
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 7])
      socket.send(Buffer.concat([head, ...(isA ? [record] : [])]), from.port, from.address)
    })
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return `127.0.0.1:${socket.address().port}`
  }

  test('tells a name that has addresses, one that has none, and silence apart', async () => {
    const servers = [await nameServer()]
    expect(await lookUpByDns('led.example', servers)).toEqual(['192.0.2.7'])
    expect(await lookUpByDns('none.example', servers)).toEqual([])
    expect(await lookUpByDns('silent.example', servers)).toBeUndefined()
  })
})
