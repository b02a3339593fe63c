import { describe, expect, it } from 'vitest'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { lastMeaningfulLine, runXray, xrayEnvironment } from './command.ts'

describe('what Xray says', () => {
  it.each([
    [
      'Xray 26.3.27 (Xray, Penetrates Everything.) Custom (go1.26.8 linux/amd64)\nA unified platform for anti-censorship.\n' +
        'Failed to start: main: failed to create server > proxy/vless/inbound: failed to initiate user > proxy/vless: User X already exists.',
      'failed to initiate user: User X already exists',
    ],
    ['failed to add inbound: rpc error: x', 'failed to add inbound: rpc error: x'],
    ['2026/11/24 02:47:01.808529 [Error] core: something failed', '[Error] core: something failed'],
    ['panic: oh no\n\ngoroutine 1 [running]:\n/src/main.go:1', 'panic: oh no'],
    ['panic: oh no\n\ngoroutine 1 [running]:\nmain.failed(0x1)\n\t/src/main.go:1', 'panic: oh no'],
    ['', 'it said nothing'],
  ])('is put into one line: %j', (output, expected) => {
    expect(lastMeaningfulLine(output)).toBe(expected)
  })

  it('is cut when it is long', () => {
    expect(lastMeaningfulLine(`failed: ${'x'.repeat(5_000)}`).length).toBe(400)
  })
})

it('gives a command its input and its time, and never throws', async () => {
  const read = await runXray(xrayBinary(), ['run', '-test'], { input: '{"outbounds":[{"protocol":"nope"}]}' })
  expect(read).toEqual({ exitCode: 23, output: expect.stringContaining('unknown config id: nope') })
  expect(await runXray('/nonexistent/xray', ['version'])).toMatchObject({ exitCode: null })
  expect(await runXray('/bin/sleep', ['60'], { timeoutMs: 50 })).toMatchObject({ exitCode: null })
})

it('hides our environment from Xray', () => {
  expect(
    xrayEnvironment({
      PATH: '/bin',
      TZ: 'UTC',
      XRAY_LOCATION_ASSET: '/a',
      BOT_TOKEN: 'x',
      GOOGLE_KEY_2: 'x',
    }),
  ).toEqual({ PATH: '/bin', TZ: 'UTC', XRAY_LOCATION_ASSET: '/a' })
})
