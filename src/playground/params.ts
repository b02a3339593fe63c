import { boundaryOf, parseMultipart } from './multipart.ts'
import { badRequest } from './refusal.ts'

/** A file that came with a request. */
export interface Upload {
  fileName: string
  bytes: Buffer
}

/** True for a plain JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A text or number as text; empty for anything else. */
export function scalar(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/**
 * The parameters of one call, however they were sent. Telegram takes numbers, booleans and JSON as text as well
 * (urlencoded and multipart bodies have nothing else), so every reader accepts both forms.
 */
export class Params {
  readonly #fields: ReadonlyMap<string, unknown>
  readonly #uploads: ReadonlyMap<string, Upload>

  constructor(fields: ReadonlyMap<string, unknown>, uploads: ReadonlyMap<string, Upload> = new Map()) {
    this.#fields = fields
    this.#uploads = uploads
  }

  text(name: string): string | undefined {
    const value = this.#fields.get(name)
    if (value === undefined || value === null) return undefined
    if (typeof value === 'string') return value
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
    throw badRequest(`field "${name}" must be of type String`)
  }

  integer(name: string): number | undefined {
    const value = this.text(name)
    if (value === undefined || value === '') return undefined
    if (!/^-?\d{1,16}$/.test(value)) throw badRequest(`field "${name}" must be of type Number`)
    return Number(value)
  }

  flag(name: string): boolean {
    const value = this.text(name)?.toLowerCase()
    return value === 'true' || value === 'yes' || value === '1'
  }

  json(name: string): unknown {
    const value = this.#fields.get(name)
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value !== 'string') return value
    try {
      return JSON.parse(value) as unknown
    } catch {
      throw badRequest(`can't parse "${name}" JSON`)
    }
  }

  /** The file behind `attach://<name>`, or the part that carries the parameter's own name. */
  upload(name: string): Upload | undefined {
    return this.#uploads.get(name)
  }
}

/** Reads a request's body by its content type; query-string parameters stand beneath it. */
export function readParams(query: URLSearchParams, contentType: string, body: Buffer): Params {
  const fields = new Map<string, unknown>(query)
  const uploads = new Map<string, Upload>()
  if (body.length === 0) return new Params(fields)
  const boundary = boundaryOf(contentType)
  if (boundary !== undefined) {
    for (const part of splitMultipart(body, boundary)) {
      if (part.fileName === undefined) fields.set(part.name, part.bytes.toString('utf8'))
      else uploads.set(part.name, { fileName: part.fileName, bytes: part.bytes })
    }
  } else if (/^application\/json\b/i.test(contentType)) {
    for (const [name, value] of Object.entries(parseObject(body))) fields.set(name, value)
  } else if (/^application\/x-www-form-urlencoded\b/i.test(contentType)) {
    for (const [name, value] of new URLSearchParams(body.toString('utf8'))) fields.set(name, value)
  }
  return new Params(fields, uploads)
}

function splitMultipart(body: Buffer, boundary: string): ReturnType<typeof parseMultipart> {
  try {
    return parseMultipart(body, boundary)
  } catch (cause) {
    throw badRequest(`can't parse multipart body: ${cause instanceof Error ? cause.message : 'malformed'}`)
  }
}

function parseObject(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (isRecord(value)) return value
  } catch {
    // Falls through: Telegram's answer is the same for broken JSON and for JSON that is no object.
  }
  throw badRequest("can't parse JSON object")
}
