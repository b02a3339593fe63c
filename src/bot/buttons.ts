import type { InlineKeyboardButton } from 'grammy/types'
import { clip } from '#src/clip.ts'
import { encodeTap, type Fields, type Verb } from './callback-data.ts'
import type { Keyboard } from './types.ts'

type Style = 'danger' | 'success' | 'primary'

export function button<V extends Verb>(
  text: string,
  verb: V,
  fields: Fields<V>,
  style?: Style,
): InlineKeyboardButton {
  return {
    text: short(text),
    callback_data: encodeTap(verb, fields),
    ...(style === undefined ? {} : { style }),
  }
}

/** Longer labels are cut by every client; cut here, the end shows that there was more. */
export const short = (text: string, length = 40): string => clip(text, length)

/** ◀ 2/5 ▶, where there is more than one page. The counter goes to its own page: it never fails, on any client. */
export function pager<V extends Verb>(
  at: { page: number; pages: number },
  verb: V,
  fields: (page: number) => Fields<V>,
): Keyboard {
  if (at.pages <= 1) return []
  const to = (page: number): Fields<V> => fields((page + at.pages) % at.pages)
  return [
    [
      button('◀', verb, to(at.page - 1)),
      button(`${at.page + 1}/${at.pages}`, verb, to(at.page)),
      button('▶', verb, to(at.page + 1)),
    ],
  ]
}

export function inRows<B>(buttons: readonly B[], perRow: number): B[][] {
  return Array.from({ length: Math.ceil(buttons.length / perRow) }, (_, row) =>
    buttons.slice(row * perRow, (row + 1) * perRow),
  )
}
