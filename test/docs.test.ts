import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAgentConfig, loadConfig } from '#src/config.ts'
import { loadLanguages } from '#src/bot/i18n/texts.ts'
import { describeApi } from '#src/connectors/openapi.ts'
import { apiPrefix } from '#src/contract/index.ts'
import { errorKinds } from '#src/errors.ts'
import { templateIds } from '#src/fleet/templates.ts'
import { operationsPage } from '#test/support/operations-page.ts'
import { allCombinations } from './support/link-table.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })]
const required = { FLEETGRAM_TELEGRAM_TOKEN: `123456:${'x'.repeat(35)}`, FLEETGRAM_TELEGRAM_OWNERS: '1' }

/** The rows of a table of settings: key, name in the environment, default. */
function settings(section: string): { key: string; name: string; preset: string }[] {
  const part =
    read('docs/reference/configuration.md')
      .split('\n## ')
      .find((each) => each.startsWith(section)) ?? ''
  return [...part.matchAll(/^\| `([\w.]+)` \| `(\w+)` \| (.*?) \|/gm)].map(
    ([, key = '', name = '', preset = '']) => ({
      key,
      name,
      preset: /^`(.*)`$/.exec(preset)?.[1] ?? '',
    }),
  )
}

/** Every value of a configuration as the table would write it: `web.listen` and `127.0.0.1:8080`. */
function flat(value: object, path = ''): Map<string, string> {
  return new Map(
    Object.entries(value).flatMap(([key, inner]: [string, unknown]): [string, string][] => {
      if (inner === undefined) return []
      if (typeof inner === 'string') return [[path + key, inner.replace(`${process.cwd()}/`, '')]]
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) {
        return [[path + key, JSON.stringify(inner)]]
      }
      if ('host' in inner && 'port' in inner)
        return [[path + key, `${String(inner.host)}:${String(inner.port)}`]]
      return [...flat(inner, `${path}${key}.`)]
    }),
  )
}

describe('docs/reference/errors.md', () => {
  it('is what src/errors.ts says; `npm test -- test/docs.test.ts -u` writes it anew', async () => {
    const rows = Object.entries(errorKinds).map(([code, { status, retryable, message }]) => {
      const words = message.replace(/\{(\w+)\}/g, '*$1*').replaceAll('|', '\\|')
      return `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${words} |`
    })
    const page = `# Errors

Every error has a code, the same in the chat, in the log and over HTTP. *Words like this* stand for what it is about.
"Again" tells whether fleetgram tries once more by itself, since time alone may mend it.

| Code | HTTP | Again | What is said |
|---|---|---|---|
${rows.join('\n')}
`
    await expect(page).toMatchFileSnapshot(join(root, 'docs/reference/errors.md'))
  })
})

describe('docs/reference/operations.md and openapi.json', () => {
  it('are what the contract says; `npm test -- test/docs.test.ts -u` writes them anew', async () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    const document = await describeApi(version)
    const page = operationsPage(document, apiPrefix)
    await expect(page).toMatchFileSnapshot(join(root, 'docs/reference/operations.md'))
    await expect(`${JSON.stringify(document, null, 1)}\n`).toMatchFileSnapshot(
      join(root, 'docs/reference/openapi.json'),
    )
  })
})

describe('docs/reference/configuration.md', () => {
  const cases = [
    { section: 'Controller', config: flat(loadConfig('none.json', required)), load: loadConfig },
    { section: 'Agent', config: flat(loadAgentConfig('none.json', {})), load: loadAgentConfig },
  ]

  it.each(cases)(
    'names every setting of the $section that has a value, with its default',
    ({ section, config }) => {
      const rows = settings(section)
      for (const [key, value] of config) {
        const row = rows.find((each) => each.key === key)
        expect(row, key).toBeDefined()
        if (!Object.hasOwn(required, row?.name ?? '')) expect(row?.preset, key).toBe(value)
      }
    },
  )

  it.each(cases)('names no setting the $section does not know', ({ section, load }) => {
    const rows = settings(section)
    expect(rows.length).toBeGreaterThan(5)
    for (const { key, name } of rows) {
      const words = key.replaceAll('.', '_').replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
      expect(name).toBe(`FLEETGRAM_${section === 'Controller' ? '' : 'AGENT_'}${words.toUpperCase()}`)
      const given = section === 'Controller' ? required : {}
      // A name that is read changes the value under its key; one that is no value for it is refused by name.
      try {
        const read = flat(load('none.json', { ...given, [name]: '?' })).get(key)
        expect(read, name).toBe('?')
      } catch (error) {
        expect(error, name).toMatchObject({
          code: 'CONFIG_INVALID',
          details: { key: name, file: 'the environment' },
        })
      }
    }
  })

  it('comes with an example that is one', () => {
    expect(loadConfig(join(root, 'bot.config.example.json'), {})).toMatchObject({
      telegram: { owners: [123_456_789] },
    })
  })
})

describe('docs/guide/protocols.md', () => {
  const page = read('docs/guide/protocols.md')
  const rowsOf = (title: string): string[][] => {
    const table = page.slice(page.indexOf(`| ${title} |`)).split('\n\n')[0] ?? ''
    const rows = table.split('\n').slice(2)
    return rows.map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  }
  const names = (cell: string): string[] => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? '')

  it('lists every protocol, transport and security that goes together, and no other', () => {
    const listed = rowsOf('Protocol').flatMap(([protocol = '', transport = '', security = '']) =>
      names(protocol).flatMap((p) =>
        names(transport).flatMap((t) =>
          names(security).map((s) => `${p} ${t}${transport.includes('header') ? ' header' : ''} ${s}`),
        ),
      ),
    )
    const allowed = allCombinations('site.example:443', 'target.example:80').flatMap(
      ({ protocol, input, mismatch }) => {
        const { transport, security } = input('in', 1).stream
        const header = 'header' in transport && transport.header !== undefined ? ' header' : ''
        return mismatch === null ? [`${protocol} ${transport.type}${header} ${security.type}`] : []
      },
    )
    expect(listed.toSorted()).toEqual([...new Set(allowed)].toSorted())
  })

  it('says what each template is for, under its name in the chat and in the same order', () => {
    const { t } = loadLanguages().forCode('en')
    const said = rowsOf('In the chat').map(([name]) => name)
    expect(said).toEqual(templateIds.map((id) => t(`template.${id}.name`)))
  })
})

describe('the pages', () => {
  it.each(pages)('%s points only to what is there', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target]) => target ?? '')
    const missing = links.filter((target) => !existsSync(join(root, dirname(page), target)))
    expect(missing).toEqual([])
  })

  it.each(pages)('%s names only commands there are', (page) => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = [...read(page).matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name ?? '')
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })
})
