import { z } from 'zod'
import { describeIssue } from '#src/contract/index.ts'
import { isLine, isName } from '#src/contract/primitives.ts'
import { fail } from '#src/errors.ts'
import { isHost } from '#src/trust/address.ts'

/** One line for people: no control characters, which could break a log or a message. */
const line = (max: number) =>
  z.string().trim().max(max, `at most ${max} characters`).refine(isLine, 'one line of text')

/** Lines, without other control characters. */
const text = (max: number) =>
  z
    .string()
    .trim()
    .max(max, `at most ${max} characters`)
    .refine((value) => !/[^\P{Cc}\n\t]/u.test(value), 'no control characters')

/** The host that stands in share links: written as people paste it, brackets around IPv6 or not. */
const publicAddress = z
  .string()
  .trim()
  .transform((value) => value.replace(/^\[(.*)\]$/, '$1'))
  // A zone, as in fe80::1%eth0, means something on one machine alone; a final dot is not for people's links.
  .refine((value) => isHost(value) && !/%|\.$/.test(value), 'a host name or an IP address, without port')

const fields = {
  name: line(64).refine(isName, 'a name'),
  region: line(64),
  publicAddress,
  tags: z.array(line(32).refine(isName, 'a word')).max(16),
  notes: text(1_000),
  alias: line(64),
}

const newServer = z.strictObject({
  name: fields.name,
  region: fields.region.default(''),
  publicAddress: fields.publicAddress.optional(),
})

const serverEdit = z
  .strictObject({ ...fields, publicAddress: publicAddress.nullable() })
  .partial()
  .transform((edit) => (edit.tags ? { ...edit, tags: [...new Set(edit.tags)] } : edit))

/** @throws FleetError BAD_INPUT */
export function parseNewServer(input: unknown) {
  return parse(newServer, input)
}

/** @throws FleetError BAD_INPUT */
export function parseServerEdit(input: unknown) {
  return parse(serverEdit, input)
}

/** How names are compared: two servers must not differ in case alone. */
export function nameKey(name: string): string {
  return name.normalize('NFKC').toLowerCase()
}

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input)
  if (!result.success) fail('BAD_INPUT', describeIssue(result.error.issues[0]))
  return result.data
}
