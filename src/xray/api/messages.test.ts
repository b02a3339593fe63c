import * as grpc from '@grpc/grpc-js'
import protobuf from 'protobufjs/light.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { XrayServer } from '#test/support/xray-server.ts'
import { startXrayServer } from '#test/support/xray-server.ts'
import { schema } from './message-schema.ts'
import { methods } from './messages.ts'

// The parts of google.protobuf.FileDescriptorProto and of gRPC's server reflection that this test reads.
const reflection = protobuf.Root.fromJSON({
  nested: {
    Request: { fields: { fileContainingSymbol: { type: 'string', id: 4 } } },
    Response: {
      fields: { files: { type: 'Files', id: 4 }, error: { type: 'Failure', id: 7 } },
    },
    Files: { fields: { file: { rule: 'repeated', type: 'bytes', id: 1 } } },
    Failure: { fields: { message: { type: 'string', id: 2 } } },
    File: {
      fields: {
        package: { type: 'string', id: 2 },
        message: { rule: 'repeated', type: 'Message', id: 4 },
        service: { rule: 'repeated', type: 'Service', id: 6 },
      },
    },
    Message: {
      fields: {
        name: { type: 'string', id: 1 },
        field: { rule: 'repeated', type: 'Field', id: 2 },
        nested: { rule: 'repeated', type: 'Message', id: 3 },
      },
    },
    Field: {
      fields: {
        name: { type: 'string', id: 1 },
        number: { type: 'int32', id: 3 },
        label: { type: 'int32', id: 4 },
        type: { type: 'int32', id: 5 },
        typeName: { type: 'string', id: 6 },
      },
    },
    Service: {
      fields: { name: { type: 'string', id: 1 }, method: { rule: 'repeated', type: 'Rpc', id: 2 } },
    },
    Rpc: {
      fields: {
        name: { type: 'string', id: 1 },
        input: { type: 'string', id: 2 },
        output: { type: 'string', id: 3 },
      },
    },
  },
})

interface FieldDescriptor {
  name: string
  number: number
  label: number
  type: number
  typeName: string
}
interface MessageDescriptor {
  name: string
  field: FieldDescriptor[]
  nested: MessageDescriptor[]
}
interface FileDescriptor {
  package: string
  message: MessageDescriptor[]
  service: { name: string; method: { name: string; input: string; output: string }[] }[]
}

// google.protobuf.FieldDescriptorProto.Type and .Label
const scalarTypes: Record<number, string> = { 3: 'int64', 8: 'bool', 9: 'string', 12: 'bytes', 13: 'uint32' }
const messageType = 11
const enumType = 14
const repeatedLabel = 3

/** Every message of ours by its full name. */
function ownMessages(namespace: protobuf.NamespaceBase): protobuf.Type[] {
  return namespace.nestedArray.flatMap((item) =>
    item instanceof protobuf.Type ? [item] : item instanceof protobuf.Namespace ? ownMessages(item) : [],
  )
}

const root = protobuf.Root.fromJSON(schema).resolveAll()

describe('our picture of Xray’s messages', () => {
  let xray: XrayServer
  let client: grpc.Client

  beforeAll(async () => {
    xray = await startXrayServer([], (config) => ({
      ...config,
      api: {
        tag: 'api',
        services: ['HandlerService', 'RoutingService', 'StatsService', 'ReflectionService'],
      },
    }))
    client = new grpc.Client(`unix:${xray.socket}`, grpc.credentials.createInsecure())
  })
  afterAll(async () => {
    client.close()
    await xray.stop()
  })

  const fileWith = (symbol: string): Promise<FileDescriptor> =>
    new Promise((resolve, reject) => {
      const call = client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        (request: object) => Buffer.from(reflection.lookupType('Request').encode(request).finish()),
        (bytes) =>
          reflection.lookupType('Response').decode(bytes) as unknown as {
            files?: { file: Uint8Array[] }
            error?: { message: string }
          },
      )
      call.once('error', reject)
      call.once('data', (response: { files?: { file: Uint8Array[] }; error?: { message: string } }) => {
        call.end()
        const [file] = response.files?.file ?? []
        if (file === undefined) return reject(new Error(`${symbol}: ${response.error?.message}`))
        const type = reflection.lookupType('File')
        resolve(type.toObject(type.decode(file), { defaults: true, arrays: true }) as FileDescriptor)
      })
      call.write({ fileContainingSymbol: symbol })
    })

  const types = ownMessages(root)

  it('covers the messages that are used', () => {
    expect(types.length).toBeGreaterThan(15)
  })

  it.each(types.map((type) => type.fullName.slice(1)))('%s has the same fields', async (name) => {
    const file = await fileWith(name)
    const theirs = file.message.find((message) => `${file.package}.${message.name}` === name)
    const ours = root.lookupType(name)
    for (const field of ours.fieldsArray) {
      const their = theirs?.field.find((candidate) => candidate.name === field.name)
      expect(their?.number, field.name).toBe(field.id)
      expect(their?.label === repeatedLabel, field.name).toBe(field.repeated || field.map)
      const isNamed = their?.type === messageType || their?.type === enumType
      const theirType = isNamed ? their?.typeName.slice(1) : scalarTypes[their?.type ?? 0]
      if (field instanceof protobuf.MapField) {
        // A map is sent as a repeated message of a key and a value.
        const entry = theirs?.nested.find((message) => theirType?.endsWith(`.${message.name}`))
        expect(entry?.field.map(({ number, type }) => [number, scalarTypes[type]])).toEqual([
          [1, field.keyType],
          [2, field.type],
        ])
      } else {
        expect(theirType, field.name).toBe(field.resolvedType?.fullName.slice(1) ?? field.type)
      }
    }
  })

  it.each(Object.values(methods).map(({ path }) => path.slice(1)))('%s is served', async (path) => {
    const [service = '', method = ''] = path.split('/')
    const file = await fileWith(service)
    const found = file.service.find(({ name }) => `${file.package}.${name}` === service)
    const rpc = found?.method.find(({ name }) => name === method)
    expect(rpc).toBeDefined()
    for (const message of [rpc?.input, rpc?.output]) {
      expect(() => root.lookupType(String(message).slice(1))).not.toThrow()
    }
  })
})
