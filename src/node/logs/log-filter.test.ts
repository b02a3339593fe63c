import { describe, expect, test } from 'vitest'
import { levelOf, logFilter } from './log-filter.ts'

const info =
  '2026/11/25 18:45:24.656595 [Info] [3141592653] proxy/vless/inbound: received request for tcp:A.example:443'
const warning = '2026/11/25 18:45:24 [Warning] core: Xray 26.3.27 started'
const access =
  '2026/11/25 18:45:24.1 from 10.0.0.1:5000 accepted tcp:a.example:443 [main -> direct] email: anna#1'

describe('a line of Xray’s log', () => {
  test.each([
    [info, 'info'],
    [warning, 'warning'],
    ['2026/11/25 18:45:24.656595 [Debug] x', 'debug'],
    ['2026/11/25 18:45:24.656595 [Error] x', 'error'],
    [access, undefined],
    ['Failed to start: main: failed to load [Error]', undefined],
    ['', undefined],
  ])('%s', (line, level) => expect(levelOf(line)).toBe(level))

  test('is wanted from a level on; one that cannot be judged is not hidden', () => {
    const all = [info, warning, access]
    expect(all.filter(logFilter({}))).toEqual(all)
    expect(all.filter(logFilter({ level: 'info' }))).toEqual(all)
    expect(all.filter(logFilter({ level: 'warning' }))).toEqual([warning, access])
    expect(all.filter(logFilter({ level: 'error' }))).toEqual([access])
  })

  test('is wanted with a text in it, in whatever case', () => {
    expect([info, warning, access].filter(logFilter({ contains: 'a.EXAMPLE' }))).toEqual([info, access])
    expect([info, warning, access].filter(logFilter({ contains: 'a.example', level: 'warning' }))).toEqual([
      access,
    ])
    expect([info].filter(logFilter({ contains: '.*' }))).toEqual([])
  })
})
