/** Makes keys.ts from locales/en.json: every text's key, with the variables it needs. `node src/bot/i18n/generate.ts` */
import { readFileSync, writeFileSync } from 'node:fs'

export type TextTree = { [key: string]: string | TextTree }

/** The plural forms i18next chooses by `count` (CLDR categories). */
const PLURAL = /_(?:zero|one|two|few|many|other)$/

/** Every leaf of a tree of texts under its dotted key. */
export function flatten(tree: TextTree, prefix = ''): [key: string, text: string][] {
  return Object.entries(tree).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' ? [[prefix + name, value]] : flatten(value, `${prefix}${name}.`),
  )
}

/** The names of the {{variables}} in a text. */
export function variablesOf(text: string): string[] {
  return [...text.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1] ?? '')
}

/** The source of keys.ts. */
export function keysSource(tree: TextTree): string {
  const variables = new Map<string, Set<string>>()
  for (const [key, text] of flatten(tree)) {
    const base = key.replace(PLURAL, '')
    const names = variables.get(base) ?? new Set()
    if (base !== key) names.add('count')
    for (const name of variablesOf(text)) names.add(name)
    variables.set(base, names)
  }
  const rows = [...variables].map(([key, names]) => {
    const fields = [...names]
      .sort()
      .map((name) => `${name}: ${name === 'count' ? 'number' : 'string | number'}`)
    // As the formatter wants it: quotes only where they are needed.
    const name = key.includes('.') ? `'${key}'` : key
    return `  ${name}: ${fields.length === 0 ? 'none' : `{ ${fields.join('; ')} }`}\n`
  })
  return (
    '// Made by generate.ts from locales/en.json; a test checks that it is up to date.\n\n' +
    'type none = Record<string, never>\n\n' +
    '/** Every text of the bot, with the variables it needs. */\n' +
    `export interface Texts {\n${rows.join('')}}\n\nexport type TextKey = keyof Texts\n`
  )
}

if (import.meta.main) {
  const from = new URL('../../../locales/en.json', import.meta.url)
  writeFileSync(
    new URL('keys.ts', import.meta.url),
    keysSource(JSON.parse(readFileSync(from, 'utf8')) as TextTree),
  )
}
