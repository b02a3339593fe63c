import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadAgentConfig, loadConfig, unknownVariables } from './config.ts'

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'config-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const telegram = { token: '123456789:AAHfiqksKZ8WmR2zMjQbTJoq3J5pLqWkYzE', owners: [42] }

function file(content: unknown): string {
  const path = join(dir, `${Math.random()}.json`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

describe('the configuration', () => {
  test('needs a token and an owner, and has a default for the rest', () => {
    expect(loadConfig(file({ telegram }), {})).toMatchObject({
      telegram: { ...telegram, apiRoot: 'https://api.telegram.org' },
      database: resolve('data/fleetgram.db'),
      web: { listen: { host: '127.0.0.1', port: 8080 } },
      gateway: { listen: { host: '0.0.0.0', port: 8443 }, joinCommand: 'npm run agent -- join' },
      health: { intervalSeconds: 30 },
    })
  })

  test('every value can come from the environment, which wins; without any file too', () => {
    const env = {
      FLEETGRAM_TELEGRAM_TOKEN: telegram.token,
      FLEETGRAM_TELEGRAM_OWNERS: '1, 2',
      FLEETGRAM_TELEGRAM_API_ROOT: 'http://127.0.0.1:8081/',
      FLEETGRAM_DATABASE: '/srv/f.db',
      FLEETGRAM_WEB_LISTEN: '[::1]:9000',
      FLEETGRAM_GATEWAY_PUBLIC_ADDRESS: 'ctl.example.com:8443',
      FLEETGRAM_HEALTH_INTERVAL_SECONDS: '5',
      FLEETGRAM_LOCAL_ALLOW_PRIVATE_TARGETS: 'true',
    }
    expect(loadConfig(join(dir, 'none.json'), env)).toMatchObject({
      telegram: { owners: [1, 2], apiRoot: 'http://127.0.0.1:8081' },
      database: '/srv/f.db',
      web: { listen: { host: '::1', port: 9000 } },
      gateway: { publicAddress: { host: 'ctl.example.com', port: 8443 } },
      health: { intervalSeconds: 5 },
      local: { allowPrivateTargets: true },
    })
    expect(loadConfig(file({ telegram, database: 'other.db' }), env).database).toBe('/srv/f.db')
    expect(loadAgentConfig(join(dir, 'none.json'), { FLEETGRAM_AGENT_DATA: '/srv/agent' }).data).toBe(
      '/srv/agent',
    )
  })

  test('an empty variable of the environment is none', () => {
    const env = {
      FLEETGRAM_TELEGRAM_TOKEN: '',
      FLEETGRAM_DATABASE: '',
      FLEETGRAM_WEB_LISTEN: ' ',
      FLEETGRAM_GATEWAY_PUBLIC_ADDRESS: '',
      FLEETGRAM_HEALTH_INTERVAL_SECONDS: '',
      FLEETGRAM_LOCAL_ALLOW_PRIVATE_TARGETS: '',
    }
    const path = file({ telegram, web: { listen: '127.0.0.1:9000' } })
    expect(loadConfig(path, env)).toEqual(loadConfig(path, {}))
    expect(() => loadConfig(join(dir, 'none.json'), env)).toThrow(/must be set, and there is no such file/)
    expect(() => loadConfig(file({}), env)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
    const none = join(dir, 'none.json')
    expect(loadAgentConfig(none, { FLEETGRAM_AGENT_DATA: '' })).toEqual(loadAgentConfig(none, {}))
  })

  test.each([
    ['{ "telegram": ', 'Something', /not JSON/],
    [[], 'Something', /one JSON object/],
    [`{ "telegram": { "token": ${telegram.token.slice(0, 25)} } }`, 'Something', /^(?!.*AAH).*not JSON/s],
    [{}, 'telegram.token', /^it must be set$/],
    [{ telegram: { token: telegram.token } }, 'telegram.owners', /^it must be set$/],
    [{ telegram: { ...telegram, token: 'abc' } }, 'telegram.token', /BotFather/],
    [{ telegram: { ...telegram, owners: [] } }, 'telegram.owners', /^it must not be empty$/],
    [{ telegram: { ...telegram, owners: ['@me'] } }, 'telegram.owners.0', /^write a person's number/],
    [{ telegram: { ...telegram, owners: [4.5] } }, 'telegram.owners.0', /^write a person's number/],
    [{ telegram: { ...telegram, owners: 4.5 } }, 'telegram.owners', /^it must be a list/],
    [{ telegram, health: { intervalSeconds: 0 } }, 'health.intervalSeconds', /^it must be 1 or more$/],
    [{ telegram, health: { intervalSeconds: 1.5 } }, 'health.intervalSeconds', /^it must be a whole number$/],
    [{ telegram, health: { intervalSeconds: 'x' } }, 'health.intervalSeconds', /^it must be a number$/],
    [{ telegram, local: { keepXray: 'yes' } }, 'local.keepXray', /^it must be true or false$/],
    [{ telegram, local: { inboundListen: 'eth0' } }, 'local.inboundListen', /^write an IP address$/],
    [
      { telegram, log: { level: 'loud' } },
      'log.level',
      /^it must be one of debug, info, warn, error, silent$/,
    ],
    [{ telegram, acme: { directory: 'example.org' } }, 'acme.directory', /^write a whole address/],
    [{ telegram, web: { listen: 8080 } }, 'web.listen', /^it must be a text, in quotes$/],
    [{ telegram, web: { listen: '8080' } }, 'web.listen', /host:port/],
    [{ telegram, web: 'localhost' }, 'web', /^it must be a section/],
    [{ telegram, gateway: { joinCommand: 'a\nb' } }, 'gateway.joinCommand', /one line/],
    [{ telegram, weeb: {} }, 'weeb', /^there is no such key$/],
    [{ telegram, web: { listn: '[::]:80' } }, 'web.listn', /^there is no such key$/],
    [{ telegram: { ...telegram, apiRoot: 'ftp://x' } }, 'telegram.apiRoot', /.+/],
  ])('names the key and the reason when something is wrong: %j', (content, key, reason) => {
    const path = file(content)
    expect(() => loadConfig(path, {})).toThrowError(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        details: { file: path, key, reason: expect.stringMatching(reason) },
      }),
    )
  })
  test('names the variable when something is wrong in the environment', () => {
    const wrong = (name: string, value: string) => () => loadConfig(file({ telegram }), { [name]: value })
    expect(wrong('FLEETGRAM_LOG_LEVEL', 'loud')).toThrow(
      /^FLEETGRAM_LOG_LEVEL in the environment is not right: it must be one of debug/,
    )
    expect(wrong('FLEETGRAM_TELEGRAM_OWNERS', '1, @me')).toThrow(
      /^FLEETGRAM_TELEGRAM_OWNERS in the environment is not right: write a person's number/,
    )
    expect(wrong('FLEETGRAM_LOCAL_KEEP_XRAY', 'no')).toThrow(/^FLEETGRAM_LOCAL_KEEP_XRAY in .* true or false/)
  })

  test('is read whatever an editor puts in front, and says of a file that is none what it is', () => {
    expect(loadConfig(file(`\uFEFF${JSON.stringify({ telegram })}`), {}).telegram.owners).toEqual([42])
    expect(() => loadConfig(dir, {})).toThrow(/^Something in .* is not right: it is a folder, not a file\.$/)
  })

  test('knows which variables are no settings, whoever they are for', () => {
    const known = {
      FLEETGRAM_KEY: '',
      FLEETGRAM_WEB_LISTEN: '',
      FLEETGRAM_AGENT_ACME_HTTP_PORT: '',
      PATH: '',
    }
    expect(unknownVariables(known)).toEqual([])
    const slips = { FLEETGRAM_WEB_LISTN: '', FLEETGRAM_AGENT_DATABASE: '', FLEETGRAM_TELEGRAM: '' }
    expect(unknownVariables({ ...known, ...slips })).toEqual(Object.keys(slips))
  })
})
