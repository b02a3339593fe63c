import { describe, expect, test } from 'vitest'
import { parseCpu, parseMemory, parseNetwork, parseOpenSockets, parseTcpConnections } from './proc-figures.ts'

describe('what /proc tells', () => {
  test('the processor: waiting for a disk is idle, a stolen tick is busy, guests are in user already', () => {
    //             user nice system idle iowait irq softirq steal guest guest_nice
    const stat = `cpu  100 10 50 800 40 3 7 5 60 1
cpu0 50 5 25 400 20 1 4 2 30 0
intr 12345 0 9
ctxt 99
`
    expect(parseCpu(stat)).toEqual({ busy: 175, total: 1_015 })
  })

  test('the processor, by a kernel that knows fewer kinds of time', () => {
    expect(parseCpu('cpu  100 0 50 850\n')).toEqual({ busy: 150, total: 1_000 })
  })

  test('memory: what could be had without swapping is free', () => {
    const meminfo = `MemTotal:        2000 kB
MemFree:          100 kB
MemAvailable:    1500 kB
Buffers:           50 kB
SwapCached:         7 kB
SwapTotal:       1000 kB
SwapFree:         250 kB
`
    expect(parseMemory(meminfo)).toEqual({
      memory: { total: 2_000 * 1024, used: 500 * 1024 },
      swap: { total: 1_000 * 1024, used: 750 * 1024 },
    })
  })

  test('memory without swap', () => {
    const { swap } = parseMemory(
      'MemTotal: 2000 kB\nMemAvailable: 1500 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n',
    )
    expect(swap).toEqual({ total: 0, used: 0 })
  })

  const head = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`
  const interfaces = (bytes: Record<string, [received: number, sent: number]>): string =>
    head +
    Object.entries(bytes)
      .map(([name, [received, sent]]) => `${name}:${received} 9 0 0 0 0 0 0 ${sent} 2 0 0 0 0 0 0\n`)
      .join('')

  test('the network: every card, also where a large number touches the name', () => {
    const dev = interfaces({ '    lo': [999, 999], '  eth0': [1_000, 200], wlan0: [9_007_199_254_740, 30] })
    expect(parseNetwork(dev, (name) => name !== 'lo')).toEqual({ received: 9_007_199_255_740, sent: 230 })
  })

  test('the network: what goes through a bridge, a bond or a VLAN is counted at its card alone', () => {
    const dev = interfaces({
      lo: [1, 1],
      eth0: [100, 10],
      eth1: [200, 20],
      bond0: [300, 30],
      'bond0.5': [300, 30],
      docker0: [50, 5],
      'br-0a1b2c3d4e5f': [50, 5],
      veth12ab: [50, 5],
      wg0: [70, 7],
    })
    expect(parseNetwork(dev, (name) => name.startsWith('eth'))).toEqual({ received: 300, sent: 30 })
  })

  test('the network of a container, which has no card: what leads out of it', () => {
    const dev = interfaces({
      lo: [1, 1],
      venet0: [100, 10],
      docker0: [50, 5],
      veth12ab: [50, 5],
      ifb0: [7, 7],
    })
    expect(parseNetwork(dev, () => false)).toEqual({ received: 100, sent: 10 })
  })

  test('TCP connections that stand, by name, wherever the kernel puts their column', () => {
    // Of Linux 6.18.
    const snmp = `Ip: Forwarding DefaultTTL InReceives
Ip: 2 64 47377
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 220 39 50 2 17 51150 35614 0 0 281 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 233 0 0 234 0 0 0 0 0
`
    expect(parseTcpConnections(snmp)).toBe(17)
    expect(parseTcpConnections('Tcp: CurrEstab RtoMin\nTcp: 3 200\n')).toBe(3)
    expect(parseTcpConnections('')).toBe(0)
  })

  test('open UDP sockets, of IPv4 and IPv6 apart, and none on a machine without IPv6', () => {
    const sockstat = `sockets: used 2015
TCP: inuse 2002 orphan 0 tw 1 alloc 2002 mem 96
UDP: inuse 9 mem 3
UDPLITE: inuse 1
RAW: inuse 0
FRAG: inuse 0 memory 0
`
    const sockstat6 =
      'TCP6: inuse 4\nUDP6: inuse 5\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n'
    expect(parseOpenSockets(sockstat, 'UDP')).toBe(9)
    expect(parseOpenSockets(sockstat6, 'UDP6')).toBe(5)
    expect(parseOpenSockets('', 'UDP6')).toBe(0)
  })
})
