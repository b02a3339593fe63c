/** How a configuration is read: a JSON file, the environment laid over it, and words for what is wrong in either. */
import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { fail } from './errors.ts'

export type Environment = Record<string, string | undefined>

interface Source {
  file: string
  env: Environment
  /** What every name in the environment begins with. */
  prefix: string
}

/** @throws FleetError CONFIG_INVALID naming the key, where it stands, and the reason */
export function readSettings<S extends z.ZodObject>(schema: S, source: Source): z.output<S> {
  const { file, env, prefix } = source
  const fromFile = readObject(file)
  const merged = overlay(schema, fromFile ?? {}, env, prefix)
  const result = schema.safeParse(merged, { error: inPlainWords })
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
  const path = [...(issue?.path ?? []), ...unknown]
  const name = [prefix, ...path.filter((part) => typeof part === 'string').map(variable)].join('_')
  if (isSet(env[name]))
    return fail('CONFIG_INVALID', { file: 'the environment', key: name, reason: issue?.message ?? '' })
  let reason = issue?.message ?? ''
  if (valueAt(merged, path) === undefined)
    reason = `it must be set${fromFile === undefined ? `, and there is no such file${hereOf(file)}` : ''}`
  return fail('CONFIG_INVALID', { file, key: path.join('.'), reason })
}

/** Which folder a relative path was looked for in: services are started in folders nobody thinks of. */
const hereOf = (file: string): string => (isAbsolute(file) ? '' : ` in ${process.cwd()}`)

/** What the system says of a file that cannot be read. */
const unreadable: Record<string, string> = {
  EACCES: 'the user that fleetgram runs as may not read it',
  EISDIR: 'it is a folder, not a file',
}

/** What the file holds; undefined when there is none. */
function readObject(file: string): Record<string, unknown> | undefined {
  const refuse = (reason: string): never => fail('CONFIG_INVALID', { file, key: 'Something', reason })
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // No file is no mistake: everything may come from the environment.
    if (code === 'ENOENT') return undefined
    return refuse(unreadable[code ?? ''] ?? message)
  }
  try {
    // Some editors put a mark at the front that nobody sees.
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''))
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
    return refuse('it must hold one JSON object')
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    // Without the piece of the file that V8 quotes: it may be half of a token, which nothing would recognise.
    return refuse(`it is not JSON: ${error.message.replace(/, (?:\.\.\.)?".*is not valid JSON$/s, '')}`)
  }
}

const kinds: Record<string, string> = {
  number: 'it must be a number',
  string: 'it must be a text, in quotes',
  object: 'it must be a section, in { and }',
  array: 'it must be a list, in [ and ]',
}

/** For those who do not program; undefined where the schema itself, or the library, says it well enough. */
function inPlainWords(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'unrecognized_keys':
      return 'there is no such key'
    case 'invalid_type':
      return issue.expected === 'int' ? 'it must be a whole number' : kinds[issue.expected]
    case 'invalid_value':
      return `it must be one of ${issue.values.join(', ')}`
    case 'too_small':
      return issue.origin === 'number' ? `it must be ${issue.minimum} or more` : 'it must not be empty'
    case 'too_big':
      return issue.origin === 'number' ? `it must be ${issue.maximum} or less` : undefined
    case 'invalid_format':
      return issue.format === 'url' ? 'write a whole address, with https:// in front' : undefined
    default:
      return undefined
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value)
}

/** What every setting of a schema is called in the environment. */
export function variablesOf(schema: z.ZodObject, prefix: string): string[] {
  return Object.entries(schema.shape).flatMap(([key, field]) => {
    const inner = sectionOf(field)
    const name = `${prefix}_${variable(key)}`
    return inner === undefined ? [name] : variablesOf(inner, name)
  })
}

/** `apiRoot` is API_ROOT in the environment. */
const variable = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

/** The file's values with those of the environment laid over them, key by key of the schema. */
function overlay(
  schema: z.ZodObject,
  fromFile: Record<string, unknown>,
  env: Environment,
  prefix: string,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...fromFile }
  for (const [key, field] of Object.entries(schema.shape)) {
    const name = `${prefix}_${variable(key)}`
    const inner = sectionOf(field)
    if (inner !== undefined) {
      const section = fromFile[key]
      const before =
        typeof section === 'object' && section !== null ? (section as Record<string, unknown>) : {}
      const after = overlay(inner, before, env, name)
      // A section that is none, such as a string, is left for the schema to refuse.
      if (section === undefined || section === before) merged[key] = after
    } else if (isSet(env[name])) merged[key] = env[name]
  }
  return merged
}

/** Compose files and service managers pass on a variable nobody has filled in as an empty one. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value.trim() !== ''
}

function sectionOf(field: unknown): z.ZodObject | undefined {
  if (field instanceof z.ZodPrefault) return sectionOf(field.unwrap())
  return field instanceof z.ZodObject ? field : undefined
}
