/** Text that is safe to send with parse mode HTML: made by `html` alone, which escapes whatever is put into it. */
export class Html {
  readonly value: string

  private constructor(value: string) {
    this.value = value
  }

  /** The one place where text becomes markup. */
  static build(strings: readonly string[], parts: readonly HtmlPart[]): Html {
    let value = strings[0] ?? ''
    for (const [i, part] of parts.entries()) value += toMarkup(part) + (strings[i + 1] ?? '')
    return new Html(value)
  }
}

export type HtmlPart = Html | string | number | readonly Html[]

function toMarkup(part: HtmlPart): string {
  if (part instanceof Html) return part.value
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part))
  return part.map((item) => item.value).join('')
}

/** The four characters Telegram's HTML gives a meaning. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** A template whose literal parts are markup and whose values are text, escaped. */
export function html(strings: TemplateStringsArray, ...parts: HtmlPart[]): Html {
  return Html.build(strings, parts)
}

/** Stands in a text where markup goes: texts are plain, a moment is not. Private use, so no text has it itself. */
export const HERE = '\u{E000}'

/** A text with something marked up in the place of `HERE`. */
export function placed(text: string, part: HtmlPart): Html {
  const at = text.indexOf(HERE)
  return at < 0 ? html`${text}` : html`${text.slice(0, at)}${part}${text.slice(at + 1)}`
}

/** Lines of a message; an empty one stays as a blank line, undefined is left out. */
export function lines(...items: (Html | string | undefined | false)[]): Html {
  const present = items.filter((item) => item !== undefined && item !== false)
  const strings = ['', ...present.slice(1).map(() => '\n'), '']
  return Html.build(strings, present)
}
