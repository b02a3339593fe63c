import { decodeTap, type Tap } from './callback-data.ts'
import type { T } from './i18n/texts.ts'
import type { Keyboard } from './types.ts'

/** What draws the screen at an address; undefined where that is none, or one that would do more than look. */
export function placeAt(address: string): Tap | undefined {
  const tap = decodeTap(address.split(' ')[0] ?? '')
  return tap === undefined || tap.verb === 'do' || tap.verb === 'retry' || tap.verb === 'join'
    ? undefined
    : tap
}

/** A button that leads back to a screen; none to home, which every screen has a button for. */
export function backTo(address: string | null | undefined, t: T): Keyboard[number] {
  const [tapped = ''] = (address ?? '').split(' ')
  const place = placeAt(tapped)
  return place === undefined || place.verb === 'home'
    ? []
    : [{ text: t('button.back'), callback_data: tapped }]
}
