import type { ClientInput } from '#src/contract/index.ts'
import type { Fleet } from '#src/fleet/types.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { Ask } from './fault-steps.ts'

/** What people ask for, as requests of the contract with credentials and row versions as a bot would fill them in. */
export function createRequests(fleet: () => Fleet, runtime: Runtime) {
  const known = new Map<string, ClientInput>()
  const secrets = new Set<string>()

  function remember(client: ClientInput): ClientInput {
    secrets.add(client.uuid).add(client.subscriptionId)
    known.set(client.email, client)
    return client
  }

  function clientOf(email: string, again: boolean): ClientInput {
    const there = again ? known.get(email) : undefined
    return there ?? remember({ ...fleet().newClient(email), subscriptionId: randomId(runtime, 128) })
  }

  /** The same request for each server, but for the row version. */
  function inputsFor(what: Ask, servers: number[], version: boolean): Map<number, unknown> {
    const { view } = fleet()
    const clientVersion = (id: number, email: string) => view.clientByEmail(id, email)?.rowVersion
    const inboundVersion = (id: number, tag: string) =>
      view.inbounds(id).find((row) => row.tag === tag)?.rowVersion
    const each = (input: object, rowVersion: (id: number) => number | undefined = () => undefined) =>
      new Map(
        servers.map((id) => {
          const quoted = version ? rowVersion(id) : undefined
          return [id, quoted === undefined ? input : { ...input, rowVersion: quoted }]
        }),
      )
    switch (what.ask) {
      case 'inbounds.add': {
        const stream = { transport: { type: 'raw' }, security: { type: 'none' } }
        return each({ tag: what.tag, port: what.port, protocol: 'vless', stream })
      }
      case 'inbounds.update':
        return each({ id: what.tag, ...what.edit }, (id) => inboundVersion(id, what.tag))
      case 'inbounds.delete':
        return each({ id: what.tag })
      case 'clients.add':
        return each({ id: what.tag, clients: what.emails.map((email) => clientOf(email, what.known)) })
      case 'clients.update': {
        const uuid = what.newUuid ? { uuid: runtime.uuid() } : {}
        if (uuid.uuid !== undefined) secrets.add(uuid.uuid)
        return each({ email: what.email, ...what.edit, ...uuid }, (id) => clientVersion(id, what.email))
      }
      default:
        return each({ email: what.email })
    }
  }

  return { inputsFor, secrets }
}
