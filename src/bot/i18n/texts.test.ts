import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type ErrorCode, errorKinds } from '#src/errors.ts'
import { flatten, keysSource, type TextTree, variablesOf } from './generate.ts'
import { errorWords, loadLanguages } from './texts.ts'

const file = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')
const en = JSON.parse(file('../../../locales/en.json')) as TextTree
const { t } = loadLanguages().forCode('en')

describe('texts', () => {
  test('the generated keys are up to date: run `node src/bot/i18n/generate.ts`', () => {
    expect(file('keys.ts')).toBe(keysSource(en))
  })

  test.each(Object.keys(errorKinds) as ErrorCode[])('%s is said in words, with its own details', (code) => {
    const names = [...errorKinds[code].message.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '')
    const text = flatten(en).find(([key]) => key === `errors.${code}`)?.[1]
    expect(text, 'add it to locales/en.json').toBeDefined()
    // A detail the words ask for must be one that is given.
    expect(names).toEqual(expect.arrayContaining(variablesOf(text ?? '')))
    const details = Object.fromEntries(names.map((name) => [name, `<${name}>`]))
    const words = errorWords(t, { code, details })
    expect(words).not.toMatch(/\{\{|errors\./)
  })

  test('a field that is not valid is called what it is called in the chat', () => {
    const words = (field: string): string =>
      errorWords(t, { code: 'BAD_INPUT', details: { field, reason: 'why' } })
    expect(words('publicAddress')).toBe('The address in links is not valid: why. Change it and try again.')
    expect(words('clients.0.email')).toContain('The client’s name is not valid')
    expect(words('stream.security.target')).toContain('The site or goal is not valid')
    expect(words('somethingElse')).toContain('The somethingElse is not valid')
    const named = flatten(en).flatMap(([key]) => (key.startsWith('field.') ? [key.slice(6)] : []))
    for (const field of named) expect(words(field)).not.toContain(`The ${field} is`)
  })

  test('no words are left for a code that is gone', () => {
    const codes = flatten(en).flatMap(([key]) => (key.startsWith('errors.') ? [key.slice(7)] : []))
    expect(codes.filter((code) => !(code in errorKinds))).toEqual([])
  })

  test('texts hold no markup: that belongs to the screens', () => {
    for (const [key, text] of flatten(en)) expect(text, key).not.toMatch(/<\/?[a-z]|&[a-z]+;/i)
  })

  test('buttons and toasts are short enough', () => {
    for (const [key, text] of flatten(en)) {
      if (key.startsWith('button.')) expect(text.length, key).toBeLessThanOrEqual(24)
      if (key.startsWith('toast.')) expect(text.length, key).toBeLessThanOrEqual(200)
      if (key.startsWith('command.')) expect(text.length, key).toBeLessThanOrEqual(256)
    }
  })

  test('plurals follow the count; an unknown language falls back to English', () => {
    expect(t('clients.count', { count: 1 })).toBe('1 client')
    expect(t('clients.count', { count: 2 })).toBe('2 clients')
    const languages = loadLanguages()
    expect(languages.forCode('pt-br').t('button.back')).toBe(t('button.back'))
    expect(languages.forCode(undefined).code).toBe('en')
  })

  test('an error whose details are missing still makes a sentence', () => {
    expect(errorWords(t, { code: 'PORT_TAKEN', details: { port: 443 } })).toContain('Port 443 is used by ?')
  })
})
