/** docs/reference/operations.md: every operation for people, made of the OpenAPI document that programs read. */
import type { OpenAPI } from '@orpc/openapi'
import {
  type AnyOperationName,
  callNames,
  operationMeta,
  streamed,
  type OperationName,
} from '#src/contract/index.ts'

type Schema = Record<string, unknown>
interface Field {
  name: string
  where: string
  required: boolean
  schema: Schema
}

const HOUR_MS = 60 * 60 * 1000

export function operationsPage(document: OpenAPI.Document, prefix: string): string {
  const found = new Map<string, { path: string; method: string; operation: OpenAPI.OperationObject }>()
  for (const [path, methods] of Object.entries(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(methods ?? {}) as [string, OpenAPI.OperationObject][])
      found.set(operation.operationId ?? '', { path, method, operation })
  }
  const sections = callNames().map((name) => {
    const at = found.get(name)
    if (at === undefined) throw new Error(`the document lacks ${name}`)
    return section(name, `${at.method.toUpperCase()} ${at.path}`, at.operation)
  })
  const { Error: _, ...shapes } = (document.components?.schemas ?? {}) as Record<string, Schema>
  return `# Operations

Everything a server can do, over HTTP as in the chat. Paths are below \`${prefix}\` on an agent, which takes connections
from its controller alone. [openapi.json](openapi.json) is the same for programs, [errors.md](errors.md) has what can be
refused. A change needs an \`Idempotency-Key\` header: a repeated request under it gets the outcome of the first.

- **Kind**: a *read* changes nothing, a *write* changes rows, a *danger* can take people's service away.
- **Role**: who may ask for it; each role may do what those before it may: viewer, operator, admin, owner.
- **Away**: what becomes of it while its server is away: refused at once, or sent when it is back within that time.

${sections.join('\n')}
${files().join('\n')}
# Shapes
${Object.entries(shapes)
  .map(([name, schema]) => shape(name, schema))
  .join('')}`
}

/** Operations that carry a file: no JSON, so not in the document for programs. */
function files(): string[] {
  return Object.entries(streamed).map(
    ([name, { route }]) => `## ${name}

\`${route.method} ${route.path}\` ${route.summary}

${factsOf(name as AnyOperationName)}

Carries a file: see [backup-format.md](backup-format.md).
`,
  )
}

function section(name: OperationName, address: string, operation: OpenAPI.OperationObject): string {
  const body = bodyOf(operation)
  const fields = [...parameters(operation), ...fieldsOf(body, 'body')]
  return `## ${name}

\`${address}\` ${operation.summary ?? ''}

${factsOf(name)}

${body?.['$ref'] === undefined ? table(fields) : `Takes ${words(body)}.\n`}
Answers ${words(answerOf(operation))}.
`
}

function factsOf(name: AnyOperationName): string {
  const { kind, role, timeout, whenOffline, secrets } = operationMeta(name)
  const away = whenOffline === 'refuse' ? 'refused' : `sent within ${whenOffline.queue / HOUR_MS} h`
  const facts = [
    `**Kind** ${kind}`,
    `**Role** ${role}`,
    `**Answers within** ${timeout / 1000} s`,
    `**Away** ${away}`,
    ...(secrets.length === 0 ? [] : [`**Secret** ${secrets.map((field) => `\`${field}\``).join(', ')}`]),
  ]
  return facts.join(' · ')
}

function parameters(operation: OpenAPI.OperationObject): Field[] {
  const all = (operation.parameters ?? []) as OpenAPI.ParameterObject[]
  return all
    .filter(({ in: place }) => place !== 'header')
    .map(({ name, in: place, required = false, schema }) => ({
      name,
      where: place,
      required,
      schema: schema as Schema,
    }))
}

function bodyOf(operation: OpenAPI.OperationObject): Schema | undefined {
  const body = operation.requestBody as OpenAPI.RequestBodyObject | undefined
  return body?.content['application/json']?.schema as Schema | undefined
}

function answerOf(operation: OpenAPI.OperationObject): Schema {
  const { content = {} } = (operation.responses?.['200'] ?? {}) as OpenAPI.ResponseObject
  const [media] = Object.values(content)
  return (media?.schema ?? {}) as Schema
}

function fieldsOf(schema: Schema | undefined, where: string): Field[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, Schema>
    required?: string[]
  }
  return Object.entries(properties).map(([name, inner]) => ({
    name,
    where,
    required: required.includes(name),
    schema: inner,
  }))
}

function table(fields: readonly Field[]): string {
  if (fields.length === 0) return 'Takes nothing.\n'
  const rows = fields.map(({ name, where, required, schema }) => {
    const preset = schema['default']
    const must = required ? 'yes' : preset === undefined ? 'no' : `no: \`${JSON.stringify(preset)}\``
    return `| \`${name}\` | ${where} | ${must} | ${words(schema).replaceAll('|', '\\|')} |`
  })
  return `| Field | In | Needed | What |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

/** A shape that several operations have: its fields, or its kinds where there are several. */
function shape(name: string, schema: Schema): string {
  const kinds = schema['oneOf'] as Schema[] | undefined
  if (kinds === undefined) return `\n## ${name}\n\n${listed(fieldsOf(schema, ''))}`
  const told = kinds.map((kind) => new Map(fieldsOf(kind, '').map((field) => [field.name, line(field)])))
  const common = [...(told[0] ?? [])].filter(([field, text]) =>
    told.every((each) => each.get(field) === text),
  )
  const names = new Set(common.map(([field]) => field))
  const own = told.map((each) =>
    [...each].filter(([field]) => !names.has(field)).map(([, text]) => text.slice(2)),
  )
  return `\n## ${name}\n\n${common.map(([, text]) => text).join('\n')}\n\nAnd one of:\n\n${own
    .map((texts) => `- ${texts.join('; ')}`)
    .join('\n')}\n`
}

const line = ({ name, required, schema }: Field): string =>
  `- \`${name}${required ? '' : '?'}\` ${words(schema)}`
const listed = (fields: readonly Field[]): string => `${fields.map(line).join('\n')}\n`

/** What a value is, in words. */
function words(schema: Schema): string {
  const {
    $ref: ref,
    const: fixed,
    enum: choices,
    type,
    items,
    format,
  } = schema as Record<string, string | undefined>
  if (ref !== undefined) {
    const name = ref.split('/').at(-1) ?? ''
    return `[${name}](#${name.toLowerCase()})`
  }
  if (fixed !== undefined) return `\`${JSON.stringify(fixed)}\``
  if (choices !== undefined)
    return (choices as unknown as string[]).map((each) => `\`${each === '' ? "''" : each}\``).join(', ')
  if (Array.isArray(type)) return type.map((each: string) => words({ ...schema, type: each })).join(' or ')
  const several = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined
  if (several !== undefined) return [...new Set(several.map(words))].join(' or ')
  switch (type) {
    case 'array':
      return `list of ${words((items ?? {}) as unknown as Schema)}`
    case 'object':
      return objectWords(schema)
    case 'string':
      return format ?? 'text'
    case 'integer':
      return 'whole number'
    case 'boolean':
      return 'yes or no'
    default:
      return type ?? 'anything'
  }
}

function objectWords(schema: Schema): string {
  const fields = fieldsOf(schema, '')
  if (fields.length > 0) {
    const told = fields.map(
      ({ name, required, schema: inner }) => `${name}${required ? '' : '?'}: ${words(inner)}`,
    )
    return `{ ${told.join(', ')} }`
  }
  const values = schema['additionalProperties']
  return typeof values === 'object' ? `names with ${words(values as Schema)}` : 'nothing'
}
