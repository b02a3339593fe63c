import type { MessageEntity } from 'grammy/types'
import { type FormattedText, parseHtml } from './html.ts'
import { isRecord, type Params } from './params.ts'
import { badRequest } from './refusal.ts'

/** Bot API limits, in characters after entities parsing. */
export const TEXT_LIMIT = 4096
const CAPTION_LIMIT = 1024
/** Telegram keeps the first hundred entities of a message and drops the rest without a word. */
const ENTITY_LIMIT = 100

const ENTITY_TYPES = new Set<string>(
  (
    'mention hashtag cashtag bot_command url email phone_number bold italic underline strikethrough spoiler ' +
    'blockquote expandable_blockquote code pre text_link text_mention custom_emoji date_time'
  ).split(' '),
)

/** What the bot wrote, ready to be stored; `html` is its source when it used HTML. */
export interface WrittenText extends FormattedText {
  html: string | undefined
}

/** The text of a message: must be there, must not be blank, at most 4096 characters. */
export function readMessageText(params: Params): WrittenText {
  const source = params.text('text')
  if (source === undefined || source === '') throw badRequest('message text is empty')
  const written = readFormatted(params, source, 'entities')
  if (written.text === '') throw badRequest('text must be non-empty')
  if (written.text.length > TEXT_LIMIT) throw badRequest('message is too long')
  return written
}

/** A caption: may be absent or empty (undefined then), at most 1024 characters. */
export function readCaption(params: Params): WrittenText | undefined {
  const source = params.text('caption')
  if (source === undefined || source === '') return undefined
  const written = readFormatted(params, source, 'caption_entities')
  if (written.text.length > CAPTION_LIMIT) throw badRequest('message caption is too long')
  return written.text === '' ? undefined : written
}

function readFormatted(params: Params, source: string, entitiesName: string): WrittenText {
  const mode = params.text('parse_mode')?.toLowerCase() ?? ''
  if (mode === 'markdown' || mode === 'markdownv2') {
    throw badRequest(
      'parse_mode Markdown is not supported here: this playground speaks HTML and entities only',
    )
  }
  if (mode !== '' && mode !== 'html' && mode !== 'none') throw badRequest('unsupported parse_mode')
  const parsed =
    mode === 'html'
      ? parseHtml(source)
      : { text: source, entities: readEntities(params.json(entitiesName), source) }
  return { ...finish(parsed), html: mode === 'html' ? source : undefined }
}

/** What Telegram does to every text: trims it, finds links and commands in it, keeps a hundred entities. */
export function finish(raw: FormattedText): FormattedText {
  const trimmed = trim(raw)
  const entities = [...trimmed.entities, ...detect(trimmed)]
  entities.sort((a, b) => a.offset - b.offset || b.length - a.length)
  return { text: trimmed.text, entities: entities.slice(0, ENTITY_LIMIT) }
}

function trim(raw: FormattedText): FormattedText {
  const text = raw.text.trim()
  const lead = raw.text.length - raw.text.trimStart().length
  const entities = raw.entities.flatMap((entity) => {
    const start = Math.max(entity.offset - lead, 0)
    const end = Math.min(entity.offset - lead + entity.length, text.length)
    return end > start ? [{ ...entity, offset: start, length: end - start }] : []
  })
  return { text, entities }
}

/** Links, mentions and commands that stand in plain text; nothing is looked for inside code and links. */
function detect({ text, entities }: FormattedText): MessageEntity[] {
  const taken = entities.filter((entity) =>
    ['code', 'pre', 'text_link', 'url', 'bot_command', 'mention'].includes(entity.type),
  )
  const found: MessageEntity[] = []
  const patterns: [RegExp, 'url' | 'bot_command' | 'mention'][] = [
    [/(?<![\w/])https?:\/\/[^\s<>"]*[^\s<>".,;:!?)\]]/g, 'url'],
    [/(?<![\w/<>])\/[a-zA-Z0-9_]{1,64}(?:@\w{3,32})?(?![\w/])/g, 'bot_command'],
    [/(?<![\w@/])@[a-zA-Z]\w{3,31}(?!\w)/g, 'mention'],
  ]
  for (const [pattern, type] of patterns) {
    for (const match of text.matchAll(pattern)) {
      const entity = { type, offset: match.index, length: match[0].length }
      const overlaps = (other: MessageEntity): boolean =>
        other.offset < entity.offset + entity.length && entity.offset < other.offset + other.length
      if (![...taken, ...found].some(overlaps)) found.push(entity)
    }
  }
  return found
}

function readEntities(value: unknown, text: string): MessageEntity[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw badRequest("can't parse entities JSON array")
  return value.map((item: unknown) => {
    if (!isRecord(item)) throw badRequest("can't parse MessageEntity: expected an Object")
    const { type, offset, length } = item
    if (typeof type !== 'string' || !ENTITY_TYPES.has(type)) {
      throw badRequest("can't parse MessageEntity: Unsupported type specified")
    }
    if (typeof offset !== 'number' || offset < 0)
      throw badRequest(`receive an entity with incorrect offset ${String(offset)}`)
    if (typeof length !== 'number' || length < 0)
      throw badRequest(`receive an entity with incorrect length ${String(length)}`)
    if (offset > text.length) {
      throw badRequest(`entity begins after the end of the text at UTF-16 offset ${offset}`)
    }
    if (offset + length > text.length) {
      throw badRequest(
        `entity beginning at UTF-16 offset ${offset} ends after the end of the text at UTF-16 offset ${offset + length}`,
      )
    }
    return item as unknown as MessageEntity
  })
}
