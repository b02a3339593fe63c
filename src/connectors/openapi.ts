/** The contract as an OpenAPI document: what an agent serves, for programs that are not ours. */
import { type ConditionalSchemaConverter, type OpenAPI, OpenAPIGenerator } from '@orpc/openapi'
import { z } from 'zod'
import { client, clientInput } from '#src/contract/clients.ts'
import { inbound, inboundInput } from '#src/contract/inbounds.ts'
import { stream, streamInput } from '#src/contract/stream.ts'
import { apiPrefix, contract, operationMeta, type OperationName } from '#src/contract/index.ts'

/** Shapes that stand in many operations, each said once in the document. */
const shared = new Map<z.ZodType, string>([
  [inbound, 'Inbound'],
  [inboundInput, 'InboundInput'],
  [stream, 'Stream'],
  [streamInput, 'StreamInput'],
  [client, 'Client'],
  [clientInput, 'ClientInput'],
])

/** Of those the ones that are sent; the others are answered. */
const sent = new Set<z.ZodType>([inboundInput, streamInput, clientInput])

/** zod's own JSON Schema: rules written in code are not in it, so what fits it may still be refused. */
function toJsonSchema(type: z.ZodType, io: 'input' | 'output', isShared = false): OpenAPI.SchemaObject {
  const json = z.toJSONSchema(type, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema, path }) => {
      const name = shared.get(zodSchema as unknown as z.ZodType)
      if (name === undefined || (isShared && path.length === 0)) return
      for (const key of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, key)
      jsonSchema.$ref = `#/components/schemas/${name}`
    },
  })
  const { $schema: _, '~standard': __, ...plain } = json as Record<string, unknown>
  return plain
}

const zodConverter: ConditionalSchemaConverter = {
  condition: (schema) => schema instanceof z.ZodType,
  convert(schema, { strategy }) {
    const type = schema as z.ZodType
    // What may be left out is told beside the schema, not in it.
    const mayBeMissing = type.safeParse(undefined).success
    return [!mayBeMissing, toJsonSchema(type, strategy) as object]
  },
}

const errorSchema: OpenAPI.SchemaObject = {
  type: 'object',
  description: 'docs/reference/errors.md has every code.',
  required: ['code', 'status', 'message', 'data'],
  properties: {
    defined: { type: 'boolean' },
    code: { type: 'string' },
    status: { type: 'integer' },
    message: { type: 'string', description: 'What happened and what to do, in English.' },
    data: {
      type: 'object',
      required: ['retryable', 'details', 'trace'],
      properties: {
        retryable: { type: 'boolean', description: 'Time alone may mend it.' },
        details: { type: 'object', additionalProperties: true },
        trace: { type: 'string', description: 'Under this the log of the server has it.' },
      },
    },
  },
}

const refusal: OpenAPI.ResponseObject = {
  description: 'Refused, or failed: a coded error',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
}

const idempotencyKey: OpenAPI.ParameterObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: true,
  description: 'Names one intended change; a repeated request under it gets the outcome of the first.',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
}

/** @param version of this product */
export async function describeApi(version: string): Promise<OpenAPI.Document> {
  const generator = new OpenAPIGenerator({ schemaConverters: [zodConverter] })
  const document = await generator.generate(contract, {
    info: { title: 'fleetgram agent', version },
    servers: [{ url: apiPrefix }],
    components: {
      schemas: {
        Error: errorSchema,
        ...Object.fromEntries(
          [...shared].map(([type, name]) => [
            name,
            toJsonSchema(type, sent.has(type) ? 'input' : 'output', true),
          ]),
        ),
      },
    },
  })
  for (const path of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(path ?? {}) as OpenAPI.OperationObject[]) complete(operation)
  }
  return document
}

/** What the contract says of an operation besides its shapes. */
function complete(operation: OpenAPI.OperationObject): void {
  const name = operation.operationId as OperationName
  const { kind, role, timeout, whenOffline } = operationMeta(name)
  operation.tags = [name.split('.')[0] ?? '']
  if (kind !== 'read') operation.parameters = [...(operation.parameters ?? []), idempotencyKey]
  operation.responses = { ...operation.responses, default: refusal }
  Object.assign(operation, {
    'x-kind': kind,
    'x-role': role,
    'x-timeout-ms': timeout,
    'x-when-offline': whenOffline === 'refuse' ? 'refuse' : `queue ${whenOffline.queue} ms`,
  })
}
