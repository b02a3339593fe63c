import type { Server } from '#src/fleet/types.ts'
import { button, inRows } from '../buttons.ts'
import type { T } from '../i18n/texts.ts'
import type { Keyboard } from '../types.ts'

/** A link that can be shown as a picture. `index` counts the links of one client on one server. */
export interface LinkRef {
  server: Pick<Server, 'id' | 'name'>
  clientId: number
  tag: string
  link: string | undefined
  index: number
}

/**
 * A button for the QR picture of every link; where a server has several, they are told apart by inbound. `single`: there
 * is one server, whose name says nothing.
 */
export function qrButtons(entries: readonly LinkRef[], single: boolean, t: T): Keyboard {
  const buttons = entries
    .filter((entry) => entry.link !== undefined)
    .map((entry) => {
      const alone = entries.filter((other) => other.server.id === entry.server.id).length === 1
      const place = [...(single ? [] : [entry.server.name]), ...(alone ? [] : [entry.tag])].join(' · ')
      const label = place === '' ? t('button.qrCode') : t('button.qr', { place })
      return button(label, 'qr', {
        server: entry.server.id,
        client: entry.clientId,
        link: entry.index,
      })
    })
  return inRows(buttons, 2)
}
