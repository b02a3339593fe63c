import type { Fleet } from '#src/fleet/types.ts'
import type { LinkRef } from './screens/qr.ts'

/** The links of a client on a server, as buttons and lines need them. */
export function linkRefs<S extends LinkRef['server']>(
  { view }: Pick<Fleet, 'view'>,
  server: S,
  clientId: number,
) {
  const links = view.links(server.id, clientId)
  const alone = links.length === 1
  return links.map(({ tag, link }, index) => ({ server, clientId, tag, link, index, alone }))
}
