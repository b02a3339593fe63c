import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import en from '../locales/en.json' with { type: 'json' }
import {
  type ErrorCode,
  FleetError,
  errorKinds,
  errorText,
  fail,
  isErrorCode,
  toFleetError,
} from './errors.ts'

const codes = Object.keys(errorKinds) as ErrorCode[]
const words: Record<string, string | undefined> = en.errors
const blanks = (text: string, shape = /\{(\w+)\}/g): string[] =>
  [...text.matchAll(shape)].map(([, name]) => name ?? '')

/** Where an error is made: the code, and the names of the details it is given; undefined where they are computed. */
interface Use {
  file: string
  code: string
  details: string[] | undefined
}

function usesIn(file: string): Use[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/(?:\bfail|new FleetError)\(\s*'(\w+)'(\s*,\s*)?/g)].map((match) => {
    const code = match[1] ?? ''
    if (match[2] === undefined) return { file, code, details: [] }
    const rest = text.slice(match.index + match[0].length)
    return { file, code, details: rest.startsWith('{') ? keysOf(rest) : undefined }
  })
}

/** The keys of the object literal a text begins with; undefined when some of them come from elsewhere. */
function keysOf(text: string): string[] | undefined {
  let depth = 0
  let flat = ''
  for (const letter of text) {
    if ('}])'.includes(letter)) depth--
    if (depth === 1) flat += letter
    if ('{[('.includes(letter)) depth++
    if (depth === 0) break
  }
  if (flat.includes('...')) return undefined
  return [...flat.matchAll(/(?:^|,)\s*(\w+)/g)].map(([, name]) => name ?? '')
}

const src = join(import.meta.dirname)
const uses = globSync('**/*.ts', { cwd: src })
  .filter((file) => !file.endsWith('.test.ts'))
  .flatMap((file) => usesIn(join(src, file)))

describe('the registry of errors', () => {
  it.each(codes)('%s says what happened in whole sentences', (code) => {
    const { message, status } = errorKinds[code]
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
    expect(message).toMatch(/^[A-Z{]/)
    expect(message).toMatch(/[.?}]$/)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
  })

  it.each(codes)('%s is sent again only where that may help', (code) => {
    const { retryable, status } = errorKinds[code]
    if (retryable) expect([429, 502, 503, 504]).toContain(status)
  })

  it.each(codes)('%s has words for the chat, with no blank the error does not fill', (code) => {
    const text = words[code]
    expect(text).toBeTruthy()
    const known = blanks(errorKinds[code].message)
    for (const name of blanks(text ?? '', /\{\{(\w+)\}\}/g)) expect(known).toContain(name)
  })

  it('has no words for an error that is none', () => {
    expect(Object.keys(words).filter((code) => !isErrorCode(code))).toEqual([])
  })

  it('is given every detail its words speak of, wherever an error is made', () => {
    expect(uses.length).toBeGreaterThan(80)
    const lacking = uses.flatMap(({ file, code, details }) => {
      if (!isErrorCode(code) || details === undefined) return []
      const missing = blanks(errorKinds[code].message).filter((name) => !details.includes(name))
      return missing.map((name) => `${file}: ${code} without ${name}`)
    })
    expect(lacking).toEqual([])
  })
})

describe('an error', () => {
  it('carries code, details and cause, and words with the blanks filled', () => {
    const cause = new Error('below')
    const error = new FleetError('PORT_TAKEN', { port: 443, by: 'nginx' }, { cause })
    expect(error).toMatchObject({ code: 'PORT_TAKEN', status: 409, retryable: false, cause })
    expect(error.message).toBe('Port 443 is used by nginx. Choose a free port.')
    expect(errorText('PORT_TAKEN', { port: 443 })).toContain('used by ?')
  })

  it('fills a blank with what it is given, not with what that would mean', () => {
    expect(errorText('SERVER_NOT_FOUND', { server: '$& {server}' })).toBe('There is no server $& {server}.')
  })

  it('is thrown by fail, and kept as it is on the way up', () => {
    expect(() => fail('SERVER_DISABLED')).toThrow(expect.objectContaining({ code: 'SERVER_DISABLED' }))
    const known = new FleetError('NOT_FOUND')
    expect(toFleetError(known, 't')).toBe(known)
    const cause = new TypeError('x is not a function')
    expect(toFleetError(cause, 'trace-1')).toMatchObject({
      code: 'INTERNAL',
      cause,
      details: { trace: 'trace-1' },
    })
    expect(toFleetError(cause, 'trace-1').message).not.toContain('function')
  })

  it('has a code from the registry, not from what every object has', () => {
    expect(isErrorCode('NOT_FOUND')).toBe(true)
    for (const other of ['toString', '__proto__', '', undefined, 404]) expect(isErrorCode(other)).toBe(false)
  })
})
