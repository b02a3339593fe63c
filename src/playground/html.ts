import type { MessageEntity } from 'grammy/types'
import { linkOf } from './links.ts'
import { badRequest } from './refusal.ts'

/** Text with its formatting; offsets and lengths in UTF-16 code units, as in the Bot API. */
export interface FormattedText {
  text: string
  entities: MessageEntity[]
}

interface OpenTag {
  name: string
  attributes: Map<string, string>
  offset: number
}

const SIMPLE = new Map<
  string,
  Extract<MessageEntity['type'], 'bold' | 'italic' | 'underline' | 'strikethrough' | 'spoiler' | 'code'>
>([
  ['b', 'bold'],
  ['strong', 'bold'],
  ['i', 'italic'],
  ['em', 'italic'],
  ['u', 'underline'],
  ['ins', 'underline'],
  ['s', 'strikethrough'],
  ['strike', 'strikethrough'],
  ['del', 'strikethrough'],
  ['tg-spoiler', 'spoiler'],
  ['span', 'spoiler'],
  ['code', 'code'],
])
const OTHERS = new Set(['a', 'pre', 'blockquote', 'tg-emoji', 'tg-time'])
/** The only named entities Telegram knows; any other `&name;` stays as it is written. */
const NAMED = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
])
/** The formats of tg-time (core.telegram.org/bots/api, date-time entity formatting). */
const TIME_FORMAT = /^(?:r|w?[dD]?[tT]?)$/

/**
 * Parses Telegram's HTML parse mode and refuses what Telegram refuses, in its words: unsupported tags (a stray `<`
 * is one), tags left open, wrong end tags. Offsets in messages are UTF-8 bytes. Throws a Refusal.
 */
export function parseHtml(source: string): FormattedText {
  const entities: MessageEntity[] = []
  const open: OpenTag[] = []
  let text = ''
  let at = 0
  while (at < source.length) {
    const char = source.charAt(at)
    if (char === '&') {
      const decoded = decodeAt(source, at)
      text += decoded.text
      at = decoded.end
    } else if (char !== '<') {
      text += char
      at++
    } else if (source[at + 1] === '/') {
      at = closeTag(source, at, open, text, entities)
    } else {
      const { tag, end } = openTag(source, at)
      open.push({ ...tag, offset: text.length })
      at = end
    }
  }
  const unclosed = open.at(-1)
  if (unclosed !== undefined)
    throw cannotParse(`Can't find end tag corresponding to start tag "${unclosed.name}"`)
  return { text, entities: settle(entities) }
}

function cannotParse(why: string): Error {
  return badRequest(`can't parse entities: ${why}`)
}

function bytesBefore(source: string, at: number): number {
  return Buffer.byteLength(source.slice(0, at))
}

function decodeAt(source: string, at: number): { text: string; end: number } {
  const match = /^&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{1,4}));?/i.exec(source.slice(at, at + 12))
  const literal = { text: '&', end: at + 1 }
  if (match === null) return literal
  const end = at + match[0].length
  if (match[3] !== undefined) {
    const named = NAMED.get(match[3])
    return named === undefined ? literal : { text: named, end }
  }
  const code = match[1] === undefined ? Number.parseInt(match[2] ?? '', 16) : Number(match[1])
  const valid = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
  return valid ? { text: String.fromCodePoint(code), end } : literal
}

function openTag(source: string, begin: number): { tag: Omit<OpenTag, 'offset'>; end: number } {
  const where = `at byte offset ${bytesBefore(source, begin)}`
  const nameEnd = source.slice(begin).search(/[\s>]/)
  if (nameEnd === -1) throw cannotParse(`Unclosed start tag ${where}`)
  const name = source.slice(begin + 1, begin + nameEnd).toLowerCase()
  if (!SIMPLE.has(name) && !OTHERS.has(name)) throw cannotParse(`Unsupported start tag "${name}" ${where}`)

  const attributes = new Map<string, string>()
  let at = begin + nameEnd
  for (;;) {
    while (/\s/.test(source.charAt(at))) at++
    if (source[at] === '>') break
    if (at >= source.length) throw cannotParse(`Unclosed start tag "${name}" ${where}`)
    const attribute = /^([^\s=>/"']+)\s*(?:=\s*(?:"([^"]*)"|'([^']*)'|([a-z0-9.-]*)(?=[\s>])))?/i.exec(
      source.slice(at),
    )
    if (attribute?.[1] === undefined) throw cannotParse(`Empty attribute name in the tag "${name}" ${where}`)
    const value = attribute[2] ?? attribute[3] ?? attribute[4]?.toLowerCase() ?? ''
    attributes.set(attribute[1].toLowerCase(), decodeAll(value))
    at += attribute[0].length
    if (source[at] === '=')
      throw cannotParse(`Unexpected end of name token at byte offset ${bytesBefore(source, at)}`)
  }
  if (name === 'span' && attributes.get('class') !== 'tg-spoiler') {
    throw cannotParse(`Tag "span" must have class "tg-spoiler" ${where}`)
  }
  if (name === 'tg-emoji' && !/^\d{1,19}$/.test(attributes.get('emoji-id') ?? '')) {
    throw cannotParse('Invalid custom emoji identifier specified')
  }
  if (name === 'tg-time') {
    const unix = attributes.get('unix') ?? ''
    const format = attributes.get('format') ?? ''
    // Telegram's own wording for these two is not published; the refusal is.
    if (!/^\d{1,11}$/.test(unix)) throw cannotParse(`Tag "tg-time" must have a valid "unix" ${where}`)
    if (!TIME_FORMAT.test(format)) throw cannotParse(`Tag "tg-time" has an invalid "format" ${where}`)
  }
  return { tag: { name, attributes }, end: at + 1 }
}

function decodeAll(value: string): string {
  return value.replace(/&[^;\s]{1,8};?/g, (found) => {
    const decoded = decodeAt(found, 0)
    return decoded.text + found.slice(decoded.end)
  })
}

function closeTag(
  source: string,
  begin: number,
  open: OpenTag[],
  text: string,
  entities: MessageEntity[],
): number {
  const offset = bytesBefore(source, begin)
  const tag = open.pop()
  if (tag === undefined) throw cannotParse(`Unexpected end tag at byte offset ${offset}`)
  const match = /^<\/([^\s>]*)\s*>/.exec(source.slice(begin))
  if (match === null) throw cannotParse(`Unclosed end tag at byte offset ${offset}`)
  const found = match[1]?.toLowerCase() ?? ''
  if (found !== '' && found !== tag.name) {
    throw cannotParse(
      `Unmatched end tag at byte offset ${offset}, expected "</${tag.name}>", found "</${found}>"`,
    )
  }
  const entity = entityOf(tag, text, open.at(-1)?.name)
  if (entity === undefined || entity.length === 0) return begin + match[0].length
  const inner = entities.at(-1)
  if (
    entity.type === 'pre' &&
    inner?.type === 'pre' &&
    inner.offset === entity.offset &&
    inner.length === entity.length
  ) {
    // <pre><code class="language-x">: one block with a language.
    if (inner.language !== undefined) entity.language = inner.language
    entities.pop()
  }
  entities.push(entity)
  return begin + match[0].length
}

function entityOf(tag: OpenTag, text: string, parent: string | undefined): MessageEntity | undefined {
  const range = { offset: tag.offset, length: text.length - tag.offset }
  const simple = SIMPLE.get(tag.name)
  if (simple === 'code') {
    const language = /^language-(.+)$/.exec(tag.attributes.get('class') ?? '')?.[1]
    return language === undefined || parent !== 'pre'
      ? { type: 'code', ...range }
      : { type: 'pre', language, ...range }
  }
  if (simple !== undefined) return { type: simple, ...range }
  if (tag.name === 'pre') return { type: 'pre', ...range }
  if (tag.name === 'blockquote') {
    return { type: tag.attributes.has('expandable') ? 'expandable_blockquote' : 'blockquote', ...range }
  }
  if (tag.name === 'tg-emoji') {
    return { type: 'custom_emoji', custom_emoji_id: tag.attributes.get('emoji-id') ?? '', ...range }
  }
  if (tag.name === 'tg-time') {
    const format = (tag.attributes.get('format') ??
      '') as MessageEntity.DateTimeMessageEntity['date_time_format']
    return {
      type: 'date_time',
      unix_time: Number(tag.attributes.get('unix')),
      date_time_format: format,
      ...range,
    }
  }
  // A link Telegram does not take (vless://, a host without a dot) leaves its text and no entity.
  const url = linkOf(tag.attributes.get('href') ?? text.slice(tag.offset))
  return url === undefined ? undefined : { type: 'text_link', url, ...range }
}

/** Drops formatting inside code (of two equal ranges the outer one, closed last, stays); outermost first. */
function settle(entities: MessageEntity[]): MessageEntity[] {
  const kept = entities.filter(
    (entity, index) =>
      !entities.some(
        (block, at) =>
          (block.type === 'pre' || block.type === 'code') &&
          at !== index &&
          covers(block, entity) &&
          (at > index || !covers(entity, block)),
      ),
  )
  return kept.sort((a, b) => a.offset - b.offset || b.length - a.length)
}

function covers(outer: MessageEntity, inner: MessageEntity): boolean {
  return outer.offset <= inner.offset && outer.offset + outer.length >= inner.offset + inner.length
}
