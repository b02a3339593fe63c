import type { NetworkInterfaceInfo } from 'node:os'
import { expect, test } from 'vitest'
import { isGloballyRoutable, publicAddresses } from './public-address.ts'

const address = (text: string): NetworkInterfaceInfo =>
  ({
    address: text,
    family: text.includes(':') ? 'IPv6' : 'IPv4',
    netmask: '',
    mac: '',
    internal: false,
    cidr: null,
    ...(text.includes(':') ? { scopeid: 0 } : {}),
  }) as NetworkInterfaceInfo

test.each([
  '1.1.1.1',
  '100.128.0.1',
  '172.32.0.1',
  '193.0.0.1',
  '2606:4700::1111',
  '2001:200::1',
  '2a01:4f8::1',
])('%s is on the internet', (text) => expect(isGloballyRoutable(text)).toBe(true))

const elsewhere =
  '10.1.2.3 100.64.0.1 127.0.0.5 169.254.1.1 172.31.255.255 192.168.1.1 203.0.113.9 224.0.0.1 255.255.255.255 ::1 fe80::1 fd00::2 2001:db8::1 2002:a00::1 ::ffff:1.1.1.1 example.com 1.1.1'
test.each(['', ...elsewhere.split(' ')])('%s is not', (text) => expect(isGloballyRoutable(text)).toBe(false))

test('the first address of the machine itself that is on the internet is its own', () => {
  const interfaces = {
    lo: [address('127.0.0.1'), address('::1')],
    eth0: [address('10.0.0.2'), address('5.9.1.1'), address('fe80::1'), address('2a01:4f8::1')],
    eth1: [address('5.9.1.2')],
    gone: undefined,
  }
  expect(publicAddresses(interfaces, '1.1.1.1')).toEqual({ ipv4: '5.9.1.1', ipv6: '2a01:4f8::1' })
})

test('behind NAT it is the configured one, of its own kind alone, and nothing where that is a name', () => {
  const interfaces = { eth0: [address('10.0.0.2')] }
  expect(publicAddresses(interfaces, '5.9.1.1')).toEqual({ ipv4: '5.9.1.1', ipv6: null })
  expect(publicAddresses(interfaces, '2a01:4f8::1')).toEqual({ ipv4: null, ipv6: '2a01:4f8::1' })
  expect(publicAddresses(interfaces, 'vpn.example')).toEqual({ ipv4: null, ipv6: null })
  expect(publicAddresses({}, undefined)).toEqual({ ipv4: null, ipv6: null })
})
