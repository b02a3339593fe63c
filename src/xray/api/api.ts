import * as grpc from '@grpc/grpc-js'
import { fail } from '#src/errors.ts'
import { apiFailure, isAlreadyThere, isMissingInbound, isNotThere, statusOf } from './api-failure.ts'
import { type WaysOutApi, waysOutApi } from './api-ways-out.ts'
import { mapLimited } from './concurrency.ts'
import type { Method, TypedMessage } from './messages.ts'
import { addUserOperation, methods, removeUserOperation, typeNames } from './messages.ts'
import type { XrayAccount, XrayUser } from '../config/model.ts'
import { fromUserMessage, isSameUser, toUserMessage } from './user-message.ts'

/** What a change did: 'unchanged' when Xray was already as asked. */
type Outcome = 'applied' | 'unchanged'

interface OnlineUser {
  email: string
  /** lastSeen: when the newest connection from this address began, in s since the epoch. */
  ips: { ip: string; lastSeen: number }[]
}

/** A user Xray has; the account is null where it is of a kind that is not ours. */
export interface PresentUser {
  email: string
  account: XrayAccount | null
}

interface AddUserOptions {
  /** Give a user of the same name the new credentials, instead of leaving the old ones. */
  replace?: boolean
}

/**
 * A running Xray's own API. Every call has a deadline; one that finds no Xray fails with XRAY_UNAVAILABLE, one that
 * names an unknown inbound with INBOUND_NOT_FOUND, any other refusal is XRAY_REFUSED.
 */
export interface XrayApi extends WaysOutApi {
  /** New connections only: removing a user never cuts what stands. Without `replace` an existing name is left alone. */
  addUser(tag: string, user: XrayUser, options?: AddUserOptions): Promise<Outcome>
  /** Adds many, `concurrency` at a time (default 64). Rejects with the first failure; those before it stay. */
  addUsers(
    tag: string,
    users: readonly XrayUser[],
    options?: AddUserOptions & { concurrency?: number },
  ): Promise<Outcome[]>
  removeUser(tag: string, email: string): Promise<Outcome>
  /** Removes many, 64 at a time. Rejects with the first failure; those before it stay removed. */
  removeUsers(tag: string, emails: readonly string[]): Promise<Outcome[]>
  users(tag: string): Promise<PresentUser[]>
  /** Tags of all inbounds, `api` among them. Answers only after every inbound of a starting Xray is open. */
  inboundTags(): Promise<string[]>
  removeInbound(tag: string): Promise<Outcome>
  /**
   * Counters in bytes by Xray's names (`user>>>EMAIL>>>traffic>>>uplink`), never reset by reading: all of them, or those
   * alone whose names have this in them.
   */
  counters(containing?: string): Promise<Map<string, number>>
  /** Names of who is connected now, by one call. Xray never counts connections from 127.0.0.1 and ::1. */
  online(): Promise<string[]>
  /** From where these are connected, by a call for each; without those who are not. */
  addresses(emails: readonly string[]): Promise<OnlineUser[]>
  /** Whole seconds since this Xray started. */
  uptime(): Promise<number>
  close(): void
}

// 50,000 users make 4 MB of counters, right at the library's own limit of 4 MiB; ten times that fits in here.
const maxReceiveBytes = 64 * 1024 * 1024

// The slowest call measured (all counters of 50,000 users on a busy machine) takes 0.6 s.
const callDeadlineMs = 10_000

/** Xray takes a second user of the same name there without a word, and removes but one of them. */
const acceptsTwins: ReadonlySet<XrayAccount['type']> = new Set(['shadowsocks'])

// Beyond 64 in flight Xray answers no faster (measured: 3,000 users a second).
const defaultConcurrency = 64

/** Connects lazily to the API socket of one Xray, again and again as that Xray comes and goes. */
export function connectXrayApi(socketPath: string): XrayApi {
  const client = new grpc.Client(`unix:${socketPath}`, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxReceiveBytes,
    // It is a local socket: after a restart of Xray a try costs nothing and waiting costs the caller an error.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
    // One connection per caller, not one shared by the whole program: closing one must not touch another.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
  })

  const call = <Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.request.encode,
        method.response.decode,
        request,
        new grpc.Metadata(),
        { deadline: Date.now() + callDeadlineMs },
        (error, response) => {
          if (error !== null) reject(error)
          else if (response === undefined) reject(new Error('an empty answer'))
          else resolve(response)
        },
      )
    })

  const alter = async (tag: string, operation: TypedMessage): Promise<void> => {
    await call(methods.alterInbound, { tag, operation })
  }

  const add = (tag: string, user: XrayUser): Promise<void> =>
    alter(tag, { type: typeNames.addUser, value: addUserOperation.encode({ user: toUserMessage(user) }) })

  const remove = (tag: string, email: string): Promise<void> =>
    alter(tag, { type: typeNames.removeUser, value: removeUserOperation.encode({ email }) })

  const findUsers = async (tag: string, email: string): Promise<PresentUser[]> => {
    const { users } = await call(methods.inboundUsers, { tag, email })
    // Asked for a name it does not know, Xray answers with one empty user.
    return users.filter((user) => user.email !== '').map(fromUserMessage)
  }

  const addUser = async (tag: string, user: XrayUser, options: AddUserOptions = {}): Promise<Outcome> => {
    if (user.email === '') fail('BAD_INPUT', { field: 'email', reason: 'Xray could never remove it again' })
    try {
      if (!acceptsTwins.has(user.account.type)) {
        const isNew = await add(tag, user).then(
          () => true,
          (error: unknown) => {
            if (isAlreadyThere(error)) return false
            throw error
          },
        )
        if (isNew) return 'applied'
        if (options.replace !== true) return 'unchanged'
      }
      const [present] = await findUsers(tag, user.email)
      if (present !== undefined) {
        if (options.replace !== true || isSameUser(present, user)) return 'unchanged'
        // There is no way to change a user in place. For the moment between these two a new connection is refused.
        await remove(tag, user.email).catch((error: unknown) => {
          if (!isNotThere(error)) throw error
        })
      }
      await add(tag, user)
      return 'applied'
    } catch (error) {
      throw apiFailure(error, tag)
    }
  }

  const removeUser = async (tag: string, email: string): Promise<Outcome> => {
    try {
      await remove(tag, email)
      return 'applied'
    } catch (error) {
      if (isNotThere(error) && !isMissingInbound(error)) return 'unchanged'
      throw apiFailure(error, tag)
    }
  }

  return {
    ...waysOutApi(call),
    addUser,

    addUsers: (tag, users, { concurrency = defaultConcurrency, ...options } = {}) =>
      mapLimited(users, concurrency, (user) => addUser(tag, user, options)),

    removeUser,
    removeUsers: (tag, emails) => mapLimited(emails, defaultConcurrency, (email) => removeUser(tag, email)),

    async users(tag) {
      try {
        return await findUsers(tag, '')
      } catch (error) {
        throw apiFailure(error, tag)
      }
    },

    async inboundTags() {
      try {
        const { inbounds } = await call(methods.listInbounds, { isOnlyTags: true })
        return inbounds.map((inbound) => inbound.tag)
      } catch (error) {
        throw apiFailure(error)
      }
    },

    async removeInbound(tag) {
      try {
        await call(methods.removeInbound, { tag })
        return 'applied'
      } catch (error) {
        if (isNotThere(error)) return 'unchanged'
        throw apiFailure(error, tag)
      }
    },

    async counters(containing = '') {
      try {
        const { stat } = await call(methods.queryStats, { pattern: containing, reset: false })
        return new Map(stat.map(({ name, value }) => [name, value]))
      } catch (error) {
        throw apiFailure(error)
      }
    },

    async online() {
      try {
        return (await call(methods.onlineUsers, {})).users.map(emailOfOnlineName)
      } catch (error) {
        throw apiFailure(error)
      }
    },

    async addresses(emails) {
      try {
        const found = await mapLimited(emails, defaultConcurrency, async (email) => {
          try {
            const { ips } = await call(methods.onlineAddresses, { name: onlineNameOf(email) })
            return { email, ips: Object.entries(ips).map(([ip, lastSeen]) => ({ ip, lastSeen })) }
          } catch (error) {
            // Gone since.
            if (statusOf(error) === grpc.status.NOT_FOUND) return { email, ips: [] }
            throw error
          }
        })
        return found.filter((user) => user.ips.length > 0)
      } catch (error) {
        throw apiFailure(error)
      }
    },

    async uptime() {
      try {
        return (await call(methods.sysStats, {})).Uptime
      } catch (error) {
        throw apiFailure(error)
      }
    },

    close: () => client.close(),
  }
}

const onlineNameOf = (email: string): string => `user>>>${email}>>>online`

function emailOfOnlineName(name: string): string {
  return name.startsWith('user>>>') && name.endsWith('>>>online') ? name.slice(7, -9) : name
}
