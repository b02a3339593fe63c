import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadAgentConfig, loadConfig } from './config.ts'

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
    ['{ "telegram": ', 'the file', /not JSON/],
    [[], 'the file', /one JSON object/],
    [`{ "telegram": { "token": ${telegram.token.slice(0, 25)} } }`, 'the file', /^(?!.*AAH).*not JSON/s],
    [{}, 'telegram.token', /^it must be set$/],
    [{ telegram: { token: telegram.token } }, 'telegram.owners', /^it must be set$/],
    [{ telegram: { ...telegram, token: 'abc' } }, 'telegram.token', /BotFather/],
    [{ telegram: { ...telegram, owners: [] } }, 'telegram.owners', /.+/],
    [{ telegram, web: { listen: '8080' } }, 'web.listen', /host:port/],
    [{ telegram, web: 'localhost' }, 'web', /.+/],
    [{ telegram, gateway: { joinCommand: 'a\nb' } }, 'gateway.joinCommand', /one line/],
    [{ telegram, weeb: {} }, 'the file', /weeb/],
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
})
