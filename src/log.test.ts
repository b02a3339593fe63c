import { describe, expect, test } from 'vitest'
import { FleetError } from './errors.ts'
import { createLog, redact } from './log.ts'

describe('the log', () => {
  test('lets no secret through, wherever it stands', () => {
    const secrets = [
      '123456789:AAHfiqksKZ8WmR2zMjQbTJoq3J5pLqWkYzE',
      'fg1.203.0.113.9:8443.q3v.id.secret-secret',
      'vless://b831381d-6324-4d53-ad4f-8cda48b30811@198.51.100.7:443?type=tcp#anna',
      '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----',
      '6324-4d53-ad4f-8cda48b30811',
    ]
    let out = ''
    const log = createLog('debug', (line) => {
      out += line
    })
    for (const secret of secrets.slice(0, 4)) {
      const error = Object.assign(new Error(`failed for ${secret}`, { cause: new Error(secret) }), {
        ctx: { api: { token: secret } },
      })
      log.error({ error, deep: { list: [secret] } }, `said ${secret}`)
    }
    for (const secret of secrets) expect(out).not.toContain(secret)
    expect(out).not.toContain('MIGHAgEAMBMG')
    expect(out).toContain('<bot token>')
    expect(out).toContain('failed for')
  })

  test('is for people too: words for the level, a time that is one, and no stack of what was foreseen', () => {
    const lines: string[] = []
    const log = createLog('info', (line) => void lines.push(line))
    const cause = new Error('beneath')
    log.warn({ error: new FleetError('SERVER_TIMEOUT', { seconds: 8 }, { cause }) }, 'told')
    log.error({ error: new FleetError('INTERNAL', { trace: 'x' }, { cause }) }, 'unforeseen')
    const [foreseen, unforeseen] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(foreseen).toMatchObject({
      level: 'warn',
      time: expect.stringMatching(/^20\d\d-\d\d-\d\dT[\d:.]+Z$/) as string,
      error: { code: 'SERVER_TIMEOUT', details: { seconds: 8 }, cause: { stack: cause.stack } },
      msg: 'told',
    })
    expect(foreseen?.['error']).not.toHaveProperty('stack')
    expect(unforeseen?.['error']).toHaveProperty('stack')
  })

  test('knows a bot token in the address of a call too', () => {
    const secret = 'AAHfiqksKZ8WmR2zMjQbTJoq3J5pLqWkYzE'
    for (const address of [`bot123456789:${secret}/getMe`, `bot123456789%3A${secret}/getMe`])
      expect(redact(`fetch https://api.telegram.org/${address}`)).toBe(
        'fetch https://api.telegram.org/bot<bot token>/getMe',
      )
  })

  test('knows every link that is made, and a key that stands alone', () => {
    const keys = [
      'kGDyMvOJhTYzWT3xyi7d0xYxDAjZSCKs0Ncf1T5PyE8',
      '-D-yMvOJhTYzWT3xyi7d0xYxDAjZSCKs0Ncf1T5PyE8',
      'kGDyMvOJhTYz/T3xyi7d0xYx+AjZSCKs0Ncf1T5PyE8=',
    ]
    for (const key of keys) {
      for (const text of [key, `"privateKey":"${key}"`, `Private key: ${key}\n`, `key=${key}, next`]) {
        expect(redact(text)).toBe(text.replace(key, '<key>'))
      }
    }
    const link = 'socks://YW5uOnBhc3M@vpn.example:1080#anna'
    expect(redact(`{"link":"${link}"}`)).toBe('{"link":"<share link>"}')
    // The shape of what a log is read for: paths, hashes in hex, long names.
    for (const text of [
      'at run (/srv/fleetgram/src/connectors/Transport2.ts:75:23)',
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      'what-1s-Named-at-length-but-with-words-only-and-more',
    ])
      expect(redact(text)).toBe(text)
  })

  test('keeps what is needed to follow a task', () => {
    expect(redact('task b831381d-6324-4d53-ad4f-8cda48b30811 done')).toBe('task b831381d… done')
  })
})
