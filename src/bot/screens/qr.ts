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
  /** It is the only one of the client on that server. */
  alone: boolean
}

/** What fits a button of half a phone's width; a longer label would lose the part that tells it from the others. */
const HALF_A_ROW = 16

/**
 * A button for the QR picture of every link; where a server has several, they are told apart by inbound. `single`: there
 * is one server, whose name says nothing.
 */
export function qrButtons(entries: readonly LinkRef[], single: boolean, t: T): Keyboard {
  const buttons = entries
    .filter((entry) => entry.link !== undefined)
    .map((entry) => {
      const place = [...(single ? [] : [entry.server.name]), ...(entry.alone ? [] : [entry.tag])].join(' · ')
      const label = place === '' ? t('button.qrCode') : t('button.qr', { place })
      return button(label, 'qr', {
        server: entry.server.id,
        client: entry.clientId,
        link: entry.index,
      })
    })
  return inRows(buttons, buttons.some(({ text }) => text.length > HALF_A_ROW) ? 1 : 2)
}
