import { limitKinds } from './limit-choices.ts'

/**
 * What a button says when it is tapped: a verb and its typed fields, in at most 64 bytes (Telegram's limit). It says
 * where to go; what changes something carries a nonce instead (see taps.ts).
 */
interface Field<T> {
  encode(value: T): string
  /** Undefined when it is not such a value. */
  decode(text: string): T | undefined
}

/** A whole number, not negative; base 36 keeps ids short. */
const int: Field<number> = {
  encode: (value) => value.toString(36),
  decode: (text) => (/^[0-9a-z]{1,10}$/.test(text) ? Number.parseInt(text, 36) : undefined),
}

/** A made-up word: a nonce, the id of a batch. Not for anything a person typed. */
const word: Field<string> = {
  encode: (value) => value,
  decode: (text) => (/^[\w-]{1,44}$/.test(text) ? text : undefined),
}

function oneOf<const T extends string>(...values: T[]): Field<T> {
  return {
    encode: (value) => String(values.indexOf(value)),
    decode: (text) => values[/^\d$/.test(text) ? Number(text) : -1],
  }
}

const server = { server: int }
export const editFields = ['name', 'publicAddress', 'alias', 'notes', 'region'] as const

const verbs = {
  home: ['h', {}],
  all: ['a', {}],
  servers: ['ss', { page: int }],
  server: ['s', server],
  usage: ['u', server],
  restart: ['r', server],
  toggleServer: ['st', server],
  removeServer: ['sr', server],
  editServer: ['e', server],
  join: ['j', server],
  certificates: ['cf', { server: int, page: int }],
  /** By a key that stands for its domain, which may be longer than a button's data. */
  certificate: ['ct', { server: int, cert: word }],
  deleteCertificate: ['cx', { server: int, cert: word }],
  inbounds: ['is', { server: int, page: int }],
  inbound: ['i', { server: int, inbound: int }],
  disableInbound: ['ix', { server: int, inbound: int }],
  deleteInbound: ['id', { server: int, inbound: int }],
  /** Server 0: the whole fleet. `found`: the search words stand with the screen that is shown. */
  clients: ['cs', { server: int, page: int, filter: oneOf('all', 'disabled'), found: oneOf('no', 'yes') }],
  client: ['c', { server: int, client: int, page: int }],
  /** A client's limits, and the question about one of them. */
  limits: ['cl', { server: int, client: int }],
  editLimit: ['wl', { server: int, client: int, limit: oneOf(...limitKinds) }],
  disableClient: ['co', { server: int, client: int }],
  resetTraffic: ['cz', { server: int, client: int }],
  deleteClient: ['cd', { server: int, client: int }],
  placeClient: ['wp', { server: int, client: int }],
  /** From which server to take a client, and the question before it. */
  clientServers: ['cr', { server: int, client: int, page: int }],
  removeFrom: ['cm', { server: int, client: int, from: int }],
  qr: ['q', { server: int, client: int, link: int }],
  closeQr: ['qx', {}],
  /** What waits for a server, and the question before one of it is called off. */
  waiting: ['sw', { server: int, page: int }],
  callOff: ['wx', { server: int, task: word }],
  batch: ['b', { batch: word }],
  retry: ['br', { batch: word }],
  do: ['d', { nonce: word }],
  alertOpen: ['ao', server],
  alertCheck: ['ac', server],
  addServer: ['ws', {}],
  /** Server 0: ask which. */
  addInbound: ['wi', server],
  addClient: ['wc', server],
  /** Into this inbound. */
  addClientTo: ['wn', { server: int, inbound: int }],
  getCertificate: ['wg', server],
  editField: ['we', { server: int, field: oneOf(...editFields) }],
  help: ['?', {}],
} as const

type Verbs = typeof verbs
export type Verb = keyof Verbs
type ValueOf<F> = F extends Field<infer T> ? T : never
export type Fields<V extends Verb> = { [K in keyof Verbs[V][1]]: ValueOf<Verbs[V][1][K]> }
export type Tap = { [V in Verb]: { verb: V; fields: Fields<V> } }[Verb]

export const verbNames = Object.keys(verbs) as Verb[]
const byCode = new Map(verbNames.map((verb) => [verbs[verb][0] as string, verb]))

export function encodeTap<V extends Verb>(verb: V, fields: Fields<V>): string {
  const [code, spec] = verbs[verb] as readonly [string, Record<string, Field<unknown>>]
  const values = fields as Record<string, unknown>
  return [code, ...Object.entries(spec).map(([name, field]) => field.encode(values[name]))].join('.')
}

/** @returns undefined for anything this release does not know. */
export function decodeTap(data: string): Tap | undefined {
  const [code, ...texts] = data.split('.')
  const verb = byCode.get(code ?? '')
  if (verb === undefined) return undefined
  const spec = Object.entries(verbs[verb][1] as Record<string, Field<unknown>>)
  if (spec.length !== texts.length) return undefined
  const fields: Record<string, unknown> = {}
  for (const [i, [name, field]] of spec.entries()) {
    const value = field.decode(texts[i] ?? '')
    if (value === undefined) return undefined
    fields[name] = value
  }
  return { verb, fields } as Tap
}
