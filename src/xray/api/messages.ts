import protobuf from 'protobufjs/light.js'
import { schema } from './message-schema.ts'

export interface TypedMessage {
  type: string
  value: Uint8Array
}
export interface UserMessage {
  email: string
  account?: TypedMessage | null
}
/** A way out in Xray's own words. */
export interface OutboundMessage {
  tag: string
  sender_settings?: TypedMessage | null
  proxy_settings?: TypedMessage | null
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
const router = 'xray.app.router.command'

export const typeNames = {
  addUser: `${handler}.AddUserOperation`,
  removeUser: `${handler}.RemoveUserOperation`,
  routing: 'xray.app.router.Config',
}

/** A whole configuration; `app` has the rules among others. */
export const coreConfig = codec<{ outbound: OutboundMessage[]; app: TypedMessage[] }>('xray.core.Config')

/** By how a client proves itself: Xray's name for the account, and its coder. */
export const accounts = {
  vless: account<{ id: string; flow: string; encryption: string }>('xray.proxy.vless.Account'),
  vmess: account<{ id: string }>('xray.proxy.vmess.Account'),
  trojan: account<{ password: string }>('xray.proxy.trojan.Account'),
  shadowsocks: account<{ password: string; cipher_type: number }>('xray.proxy.shadowsocks.Account'),
  shadowsocks2022: account<{ key: string }>('xray.proxy.shadowsocks_2022.Account'),
  hysteria: account<{ auth: string }>('xray.proxy.hysteria.account.Account'),
}

function account<T extends object>(type: string): { type: string; codec: Codec<T> } {
  return { type, codec: codec<T>(type) }
}

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
  addOutbound: method<{ outbound: OutboundMessage }, Nothing>(
    handler,
    'HandlerService/AddOutbound',
    'AddOutboundRequest',
    'AddOutboundResponse',
  ),
  removeOutbound: method<{ tag: string }, Nothing>(
    handler,
    'HandlerService/RemoveOutbound',
    'RemoveOutboundRequest',
    'RemoveOutboundResponse',
  ),
  listOutbounds: method<Nothing, { outbounds: OutboundMessage[] }>(
    handler,
    'HandlerService/ListOutbounds',
    'ListOutboundsRequest',
    'ListOutboundsResponse',
  ),
  addRules: method<{ config: TypedMessage; shouldAppend: boolean }, Nothing>(
    router,
    'RoutingService/AddRule',
    'AddRuleRequest',
    'AddRuleResponse',
  ),
  listRules: method<Nothing, { rules: { ruleTag: string }[] }>(
    router,
    'RoutingService/ListRule',
    'ListRuleRequest',
    'ListRuleResponse',
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
