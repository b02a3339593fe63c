import { createInstance } from 'i18next'
import en from '../../../locales/en.json' with { type: 'json' }
import { type ErrorCode, type ErrorDetails, isErrorCode } from '#src/errors.ts'
import type { TextKey, Texts } from './keys.ts'

/** A text in one language, plain: markup is added, and everything escaped, where a screen is built. */
export type T = <K extends TextKey>(
  key: K,
  ...vars: Texts[K] extends Record<string, never> ? [] : [Texts[K]]
) => string

export interface Language {
  code: string
  t: T
}

export interface Languages {
  /** For Telegram's `language_code`: `pt-br` falls back to `pt`, and what is not there to English. */
  forCode(code: string | null | undefined): Language
}

const resources = { en: { translation: en } }

export function loadLanguages(): Languages {
  const i18n = createInstance()
  // All texts are here already: nothing to wait for.
  void i18n.init({
    initAsync: false,
    resources,
    fallbackLng: 'en',
    // Escaping belongs to the screens, where it is done for texts and variables alike.
    interpolation: { escapeValue: false },
    missingInterpolationHandler: () => '?',
  })
  const languages = new Map<string, Language>()
  const make = (code: string): Language => {
    // The keys are checked by T; the library's own types would have to be told of the texts a second time.
    const fixed = i18n.getFixedT(code) as unknown as (key: string, vars?: object) => string
    return { code, t: (key, ...vars) => fixed(key, vars[0]) }
  }
  for (const code of Object.keys(resources)) languages.set(code, make(code))
  const english = languages.get('en') ?? make('en')
  return {
    forCode: (code) => languages.get((code ?? 'en').toLowerCase().split('-')[0] ?? 'en') ?? english,
  }
}

/** The words for a coded error: what happened, why, what to do. */
export function errorWords(t: T, error: { code: ErrorCode; details: ErrorDetails }): string {
  const key = `errors.${isErrorCode(error.code) ? error.code : 'INTERNAL'}` as TextKey
  const { field } = error.details
  const details =
    error.code === 'BAD_INPUT' && typeof field === 'string'
      ? { ...error.details, field: fieldWords(t, field) }
      : error.details
  // Each code has its own variables, and the details come from wherever it was thrown: not known to the compiler.
  return (t as unknown as (key: TextKey, vars: ErrorDetails) => string)(key, details)
}

/** What a field is called in the chat, by the last name in its path; one that is set nowhere here keeps its name. */
function fieldWords(t: T, path: string): string {
  const name = path.split('.').findLast((part) => !/^\d+$/.test(part)) ?? path
  const known = fieldKeys.find((key) => key === `field.${name}`)
  return known === undefined ? name : t(known)
}

const fieldKeys = [
  'field.name',
  'field.publicAddress',
  'field.region',
  'field.alias',
  'field.notes',
  'field.tag',
  'field.port',
  'field.listen',
  'field.email',
  'field.target',
  'field.serverNames',
  'field.domain',
  'field.limitBytes',
  'field.expiresAt',
  'field.lastsDays',
  'field.ipLimit',
  'field.resetDays',
  'field.dest',
] as const satisfies TextKey[]
