/** The files for running it for good say what the program does: names, paths and commands. */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '#src/config.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const guide = read('docs/guide/deploy.md')

/** What stands behind a key of a unit, every time it is there. */
function valuesOf(unit: string, key: string): string[] {
  return [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value)
}

describe('what is deployed', () => {
  it('names no variable that the reference does not', () => {
    const known = new Set(read('docs/reference/configuration.md').match(/\b(?:FLEETGRAM|XRAY)_[A-Z_]+\b/g))
    expect(known.size).toBeGreaterThan(25)
    const files = [
      ...globSync('{deploy,docs/guide}/**/*.{yml,service,md}', { cwd: root }),
      'Dockerfile',
      'README.md',
    ]
    for (const file of files)
      for (const name of read(file).match(/\b(?:FLEETGRAM|XRAY)_[A-Z_]+\b/g) ?? [])
        expect(known, `${name} in ${file}`).toContain(name)
  })

  it.each([
    ['fleetgram', 'start', 'FLEETGRAM_DATABASE', 'bot.config.json'],
    ['fleetgram-agent', 'agent', 'FLEETGRAM_AGENT_DATA', 'agent.config.json'],
  ])('%s.service keeps its data where it may write, and leaves Xray alone', (name, command, data, config) => {
    const unit = read(`deploy/systemd/${name}.service`)
    expect(valuesOf(unit, 'ExecStart')).toEqual([
      `/opt/fleetgram/fleetgram ${command} --config /etc/fleetgram/${config}`,
    ])
    expect(valuesOf(unit, 'StateDirectory')).toEqual([name])
    const [given = ''] = valuesOf(unit, 'Environment')
    const [variable, path = ''] = given.split('=')
    expect(variable).toBe(data)
    expect(`${path}/`).toMatch(new RegExp(`^/var/lib/${name}/`))
    expect(valuesOf(unit, 'EnvironmentFile')).toEqual([`-/etc/fleetgram/${name}.env`])
    expect(valuesOf(unit, 'KillMode')).toEqual(['process'])
    expect(guide).toContain(`cp /opt/fleetgram/systemd/${name}.service /etc/systemd/system/`)
  })

  it('joins with the settings that the unit has afterwards', () => {
    const [, json = ''] = /```json\n([^]*?)```/.exec(guide) ?? []
    const telegram = {
      FLEETGRAM_TELEGRAM_TOKEN: `123456789:${'x'.repeat(35)}`,
      FLEETGRAM_TELEGRAM_OWNERS: '1',
    }
    const given = (JSON.parse(json) as { gateway: { joinCommand: string } }).gateway.joinCommand
    const { gateway } = loadConfig('none.json', { ...telegram, FLEETGRAM_GATEWAY_JOIN_COMMAND: given })
    expect(gateway.joinCommand).toBe(given)
    const unit = read('deploy/systemd/fleetgram-agent.service')
    for (const key of ['StateDirectory', 'EnvironmentFile'])
      expect(given).toContain(` --property=${key}=${valuesOf(unit, key).join()} `)
    expect(given).toContain(` --uid=${valuesOf(unit, 'User').join()} `)
    expect(given).toContain(` --setenv=${valuesOf(unit, 'Environment').join()} `)
    expect(given.endsWith(` ${valuesOf(unit, 'ExecStart').join()} join`)).toBe(true)
  })

  it('can be built in Docker: nothing that the build reads is kept from it', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const needed = [...read('build.ts').matchAll(/join\(root, '([^']+)'\)/g)].map(([, path = '']) => path)
    expect(needed).toContain('migrations')
    const made = ['dist', '.cache', 'node_modules']
    const missing = needed.filter(
      (path) =>
        !made.some((each) => `${path}/`.startsWith(`${each}/`)) &&
        !allowed.includes(path) &&
        !allowed.includes(dirname(path)),
    )
    expect(missing).toEqual([])
  })
})
