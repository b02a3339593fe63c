import protobuf from 'protobufjs/light.js'

/**
 * The messages of Xray's API that are used here, and of those only the fields that are read or written: protobuf
 * skips the rest. Names and numbers are Xray's; a test compares them with what a running Xray says of itself.
 */
export const schema = {
  nested: {
    xray: {
      nested: {
        common: {
          nested: {
            serial: {
              nested: {
                TypedMessage: {
                  fields: { type: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } },
                },
              },
            },
            protocol: {
              nested: {
                User: {
                  fields: {
                    email: { type: 'string', id: 2 },
                    account: { type: 'xray.common.serial.TypedMessage', id: 3 },
                  },
                },
              },
            },
          },
        },
        core: { nested: { InboundHandlerConfig: { fields: { tag: { type: 'string', id: 1 } } } } },
        proxy: {
          nested: {
            vless: {
              nested: {
                Account: {
                  fields: {
                    id: { type: 'string', id: 1 },
                    flow: { type: 'string', id: 2 },
                    encryption: { type: 'string', id: 3 },
                  },
                },
              },
            },
          },
        },
        app: {
          nested: {
            proxyman: {
              nested: {
                command: {
                  nested: {
                    AddUserOperation: { fields: { user: { type: 'xray.common.protocol.User', id: 1 } } },
                    RemoveUserOperation: { fields: { email: { type: 'string', id: 1 } } },
                    AlterInboundRequest: {
                      fields: {
                        tag: { type: 'string', id: 1 },
                        operation: { type: 'xray.common.serial.TypedMessage', id: 2 },
                      },
                    },
                    AlterInboundResponse: { fields: {} },
                    RemoveInboundRequest: { fields: { tag: { type: 'string', id: 1 } } },
                    RemoveInboundResponse: { fields: {} },
                    ListInboundsRequest: { fields: { isOnlyTags: { type: 'bool', id: 1 } } },
                    ListInboundsResponse: {
                      fields: {
                        inbounds: { rule: 'repeated', type: 'xray.core.InboundHandlerConfig', id: 1 },
                      },
                    },
                    GetInboundUserRequest: {
                      fields: { tag: { type: 'string', id: 1 }, email: { type: 'string', id: 2 } },
                    },
                    GetInboundUserResponse: {
                      fields: { users: { rule: 'repeated', type: 'xray.common.protocol.User', id: 1 } },
                    },
                  },
                },
              },
            },
            stats: {
              nested: {
                command: {
                  nested: {
                    GetStatsRequest: { fields: { name: { type: 'string', id: 1 } } },
                    Stat: { fields: { name: { type: 'string', id: 1 }, value: { type: 'int64', id: 2 } } },
                    QueryStatsRequest: {
                      fields: { pattern: { type: 'string', id: 1 }, reset: { type: 'bool', id: 2 } },
                    },
                    QueryStatsResponse: { fields: { stat: { rule: 'repeated', type: 'Stat', id: 1 } } },
                    SysStatsRequest: { fields: {} },
                    SysStatsResponse: { fields: { Uptime: { type: 'uint32', id: 10 } } },
                    GetAllOnlineUsersRequest: { fields: {} },
                    GetAllOnlineUsersResponse: {
                      fields: { users: { rule: 'repeated', type: 'string', id: 1 } },
                    },
                    GetStatsOnlineIpListResponse: {
                      fields: {
                        name: { type: 'string', id: 1 },
                        ips: { keyType: 'string', type: 'int64', id: 2 },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
}

export interface TypedMessage {
  type: string
  value: Uint8Array
}
export interface UserMessage {
  email: string
  account?: TypedMessage | null
}

/** Turns one kind of message into bytes and back. Counts come as numbers, exact to 2^53. */
export interface Codec<T> {
  encode: (message: T) => Buffer
  decode: (bytes: Uint8Array) => T
}

// Never changed after this line: the descriptors are constants, the generated coders only a cache of them.
const root = protobuf.Root.fromJSON(schema).resolveAll()

function codec<T extends object>(name: string): Codec<T> {
  const type = root.lookupType(name)
  return {
    encode: (message) => Buffer.from(type.encode(type.fromObject(message)).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), { longs: Number, defaults: true }) as T,
  }
}

const handler = 'xray.app.proxyman.command'
const stats = 'xray.app.stats.command'

export const typeNames = {
  account: 'xray.proxy.vless.Account',
  addUser: `${handler}.AddUserOperation`,
  removeUser: `${handler}.RemoveUserOperation`,
}

export const account = codec<{ id: string; flow: string; encryption: string }>(typeNames.account)
export const addUserOperation = codec<{ user: UserMessage }>(typeNames.addUser)
export const removeUserOperation = codec<{ email: string }>(typeNames.removeUser)

/** One call of Xray's API: where it is served and how its two messages are coded. */
export interface Method<Request, Response> {
  path: string
  request: Codec<Request>
  response: Codec<Response>
}

function method<Request extends object, Response extends object>(
  pkg: string,
  path: string,
  request: string,
  response: string,
): Method<Request, Response> {
  return {
    path: `/${pkg}.${path}`,
    request: codec(`${pkg}.${request}`),
    response: codec(`${pkg}.${response}`),
  }
}

type Nothing = Record<string, never>

export const methods = {
  alterInbound: method<{ tag: string; operation: TypedMessage }, Nothing>(
    handler,
    'HandlerService/AlterInbound',
    'AlterInboundRequest',
    'AlterInboundResponse',
  ),
  removeInbound: method<{ tag: string }, Nothing>(
    handler,
    'HandlerService/RemoveInbound',
    'RemoveInboundRequest',
    'RemoveInboundResponse',
  ),
  listInbounds: method<{ isOnlyTags: boolean }, { inbounds: { tag: string }[] }>(
    handler,
    'HandlerService/ListInbounds',
    'ListInboundsRequest',
    'ListInboundsResponse',
  ),
  inboundUsers: method<{ tag: string; email: string }, { users: UserMessage[] }>(
    handler,
    'HandlerService/GetInboundUsers',
    'GetInboundUserRequest',
    'GetInboundUserResponse',
  ),
  queryStats: method<{ pattern: string; reset: boolean }, { stat: { name: string; value: number }[] }>(
    stats,
    'StatsService/QueryStats',
    'QueryStatsRequest',
    'QueryStatsResponse',
  ),
  sysStats: method<Nothing, { Uptime: number }>(
    stats,
    'StatsService/GetSysStats',
    'SysStatsRequest',
    'SysStatsResponse',
  ),
  onlineUsers: method<Nothing, { users: string[] }>(
    stats,
    'StatsService/GetAllOnlineUsers',
    'GetAllOnlineUsersRequest',
    'GetAllOnlineUsersResponse',
  ),
  onlineAddresses: method<{ name: string }, { ips: Record<string, number> }>(
    stats,
    'StatsService/GetStatsOnlineIpList',
    'GetStatsRequest',
    'GetStatsOnlineIpListResponse',
  ),
}
