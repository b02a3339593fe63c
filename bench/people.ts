/** The inbound that everything is measured in, and who stands in it. */
import { randomUUID } from 'node:crypto'
import type { CallContext, ServerConnector } from '#src/contract/index.ts'
import { freePort } from '#test/support/xray-client.ts'
import { timed } from './measure.ts'

/** The inbound's tag. */
export const tag = 'bench'

interface Person {
  email: string
  uuid: string
  subscriptionId: string
}

export const person = (email: string): Person => ({
  email,
  uuid: randomUUID(),
  subscriptionId: randomUUID(),
})
export const key = (): { context: CallContext } => ({ context: { idempotencyKey: randomUUID() } })

/** The inbound as most are: VLESS with REALITY. Or a plain one, where clients that know no REALITY are to connect. */
export async function addInbound(
  server: ServerConnector,
  kind: 'reality' | 'plain' = 'reality',
): Promise<{ id: number; port: number }> {
  const transport = { type: 'raw' } as const
  const reality = {
    type: 'reality' as const,
    target: `127.0.0.1:${await freePort()}`,
    serverNames: ['localhost'],
    shortIds: ['0123456789abcdef'],
  }
  return server.inbounds.add(
    {
      tag,
      protocol: 'vless',
      port: await freePort(),
      listen: '127.0.0.1',
      stream: { transport, security: kind === 'reality' ? reality : { type: 'none' as const } },
    },
    key(),
  )
}

/**
 * Adds `count` clients, `batch` of them at a time.
 * @param name no two calls may share one
 */
export async function fill(
  server: ServerConnector,
  { name, count, batch }: { name: string; count: number; batch: number },
): Promise<{ people: Person[]; /** How long each whole batch took, ms. */ took: number[] }> {
  const people = Array.from({ length: count }, (_, index) => person(`${name}-${index}`))
  const took: number[] = []
  for (let from = 0; from < count; from += batch) {
    const clients = people.slice(from, from + batch)
    const ms = await timed(() => server.clients.add({ id: tag, clients }, key()))
    // A smaller rest at the end is no sample of a whole batch.
    if (clients.length === batch) took.push(ms)
  }
  return { people, took }
}
