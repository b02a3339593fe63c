import { fail } from '#src/errors.ts'
import type { Person } from '#src/fleet/types.ts'
import { qrCaption, qrPicture } from '../batches.ts'
import { button } from '../buttons.ts'
import { encodeTap, type Fields } from '../callback-data.ts'
import type { T } from '../i18n/texts.ts'
import { type ClientModel, clientScreen, type LinkEntry, pageOfLinks } from '../screens/client.ts'
import { clientServersScreen, serversOf } from '../screens/client-servers.ts'
import { noteScreen } from '../screens/confirm.ts'
import { limitsScreen } from '../screens/limits.ts'
import { linkRefs } from '../link-refs.ts'
import type { Services } from '../services.ts'
import type { BotContext, Screen } from '../types.ts'
import { ownerOf } from './route.ts'

export function personAt(s: Services, at: { server: number; client: number }): Person | undefined {
  const row = s.fleet.view.client(at.server, at.client)
  return row === undefined ? undefined : s.fleet.view.person(row.email)
}

/** A client that was deleted meanwhile; the others are one tap away. */
function goneScreen(t: T): Screen {
  const list = { server: 0, page: 0, filter: 'all', found: 'no' } as const
  return noteScreen(t('client.gone'), t, [[button(t('button.clients'), 'clients', list)]])
}

function entriesOf(s: Services, person: Person): LinkEntry[] {
  return person.placements.flatMap(({ server, client }): LinkEntry[] => {
    const refs = linkRefs(s.fleet, server, client.id)
    const none = { server, clientId: client.id, tag: '–', link: undefined, index: 0, alone: true }
    return (refs.length === 0 ? [none] : refs).map((ref) => ({ ...ref, enabled: client.enabled }))
  })
}

/** Everywhere a client stands or is on its way to. @throws FleetError CLIENT_NOT_FOUND where that is nowhere */
export function everywhere(person: Person | undefined, email: string): number[] {
  const servers = person === undefined ? [] : serversOf(person)
  return servers.length === 0 ? fail('CLIENT_NOT_FOUND', { email }) : servers.map(({ id }) => id)
}

/** The change of one switch on every server where it is not so yet. */
export function switching(person: Person, enabled: boolean) {
  const differing = person.placements.filter(({ client }) => client.enabled !== enabled)
  // It arrives enabled: only disabling has something to do there, unless the switch is turned back on everywhere.
  const arriving = enabled && differing.length === 0 ? [] : person.waiting
  return [...differing.map(({ server }) => server), ...arriving].map(({ id }) => ({
    serverId: id,
    input: { email: person.email, enabled },
  }))
}

export async function showClient(s: Services, ctx: BotContext, fields: Fields<'client'>): Promise<void> {
  const person = personAt(s, fields)
  if (person === undefined) {
    await s.live.show(ctx, goneScreen(ctx.t), 'note')
    return
  }
  const targets = switching(person, true)
  const model: ClientModel = {
    person,
    at: { serverId: fields.server, clientId: fields.client },
    entries: pageOfLinks(entriesOf(s, person), fields.page),
    single: s.fleet.servers.isSingle(),
    enable:
      targets.length === 0
        ? undefined
        : s.taps.offer(ownerOf(ctx), { kind: 'tasks', operation: 'clients.update', targets }),
    canDisable: switching(person, false).length > 0,
  }
  await s.live.show(ctx, clientScreen(model, ctx.t), encodeTap('client', fields))
}

/** From which of its servers a client is to be taken. */
export async function showClientServers(
  s: Services,
  ctx: BotContext,
  { page, ...at }: Fields<'clientServers'>,
): Promise<void> {
  const person = personAt(s, at)
  const screen = person === undefined ? goneScreen(ctx.t) : clientServersScreen({ person, at, page }, ctx.t)
  await s.live.show(ctx, screen, person === undefined ? 'note' : encodeTap('clientServers', { ...at, page }))
}

export async function showLimits(s: Services, ctx: BotContext, fields: Fields<'limits'>): Promise<void> {
  const person = personAt(s, fields)
  if (person === undefined) {
    await s.live.show(ctx, goneScreen(ctx.t), 'note')
    return
  }
  await s.live.show(ctx, limitsScreen({ person, at: fields }, ctx.t), encodeTap('limits', fields))
}

/** @throws FleetError CLIENT_NOT_FOUND */
export async function showQr(
  s: Services,
  ctx: BotContext,
  { server, client, link }: Fields<'qr'>,
): Promise<void> {
  const row = s.fleet.view.client(server, client) ?? fail('CLIENT_NOT_FOUND', { email: '' })
  const entry = s.fleet.view.links(server, client)[link] ?? fail('CLIENT_NOT_FOUND', { email: row.email })
  await s.live.photo(
    ctx,
    await qrPicture(entry.link),
    qrCaption(row.email, { server: s.fleet.servers.get(server), tag: entry.tag }),
  )
}
