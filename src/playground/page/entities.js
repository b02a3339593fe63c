import { copy, make } from './dom.js'

const TAGS = { bold: 'b', italic: 'i', underline: 'u', strikethrough: 's', code: 'code' }
const BLOCKS = new Set(['pre', 'blockquote', 'expandable_blockquote'])
/** A quote longer than this many lines is folded, as a phone does it. */
const FOLDED_LINES = 3

/** Text with its entities as DOM; everything from outside goes in as text. */
export function renderText(text, entities = []) {
  const sorted = entities.toSorted((a, b) => a.offset - b.offset || b.length - a.length)
  return renderRange(text, 0, text.length, sorted)
}

function renderRange(text, start, end, entities) {
  const fragment = document.createDocumentFragment()
  let at = start
  let rest = entities
  while (rest.length > 0) {
    const [entity, ...others] = rest
    const stop = Math.min(entity.offset + entity.length, end)
    if (entity.offset > at) fragment.append(text.slice(at, entity.offset))
    const inner = others.filter((other) => other.offset < stop)
    fragment.append(
      wrap(entity, text.slice(entity.offset, stop), renderRange(text, entity.offset, stop, inner)),
    )
    at = stop
    // A block ends its line by itself; the line break after it would show as an empty line.
    if (BLOCKS.has(entity.type) && text[at] === '\n' && at < end) at++
    rest = others.filter((other) => other.offset >= stop)
  }
  if (at < end) fragment.append(text.slice(at, end))
  return fragment
}

function wrap(entity, source, content) {
  const tag = TAGS[entity.type]
  if (entity.type === 'code') return tapToCopy(make('code', '', content), source)
  if (tag !== undefined) return make(tag, '', content)
  if (entity.type === 'pre') return block(entity, source, content)
  if (entity.type === 'blockquote') return make('blockquote', '', content)
  if (entity.type === 'expandable_blockquote') return expandable(source, content)
  if (entity.type === 'spoiler') return spoiler(content)
  if (entity.type === 'date_time') return time(entity, source)
  if (entity.type === 'text_link') return link(entity.url, content)
  if (entity.type === 'url') return link(source, content)
  if (entity.type === 'bot_command') return command(source)
  return make('span', entity.type === 'mention' ? 'mention' : '', content)
}

function link(url, content) {
  if (!/^(https?|tg):/i.test(url)) return make('span', '', content)
  const anchor = make('a', '', content)
  anchor.href = url
  anchor.target = '_blank'
  anchor.rel = 'noopener noreferrer'
  return anchor
}

function command(source) {
  const element = make('a', 'command', source)
  element.href = '#'
  element.dataset.command = source
  return element
}

function tapToCopy(element, source) {
  element.title = 'Tap to copy'
  element.addEventListener('click', () => void copy(source))
  return element
}

function block(entity, source, content) {
  const head = make('span', 'pre-head', entity.language ?? 'copy')
  return tapToCopy(make('pre', '', head, make('code', '', content)), source)
}

function expandable(source, content) {
  const quote = make('blockquote', 'expandable', content)
  if (source.split('\n').length <= FOLDED_LINES && source.length < 140) return quote
  quote.classList.add('folded')
  quote.addEventListener('click', () => quote.classList.toggle('folded'))
  return quote
}

function spoiler(content) {
  const element = make('span', 'spoiler', content)
  element.addEventListener('click', (event) => {
    if (element.classList.contains('shown')) return
    event.preventDefault()
    element.classList.add('shown')
  })
  return element
}

function time(entity, source) {
  const element = make('time', 'tg-time')
  const date = new Date(entity.unix_time * 1000)
  element.dateTime = date.toISOString()
  element.title = date.toLocaleString()
  element.dataset.format = entity.date_time_format ?? ''
  element.dataset.fallback = source
  showTime(element)
  return element
}

/** Writes every moment on the page anew: "12 seconds ago" does not stay true. */
export function refreshTimes() {
  for (const element of document.querySelectorAll('time.tg-time')) showTime(element)
}

function showTime(element) {
  const { format, fallback } = element.dataset
  const date = new Date(element.dateTime)
  element.textContent = format === '' ? fallback : format === 'r' ? relative(date) : absolute(date, format)
}

function relative(date) {
  const seconds = Math.round((date.getTime() - Date.now()) / 1000)
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' })
  const units = [
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
  ]
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ['second', 1]
  return words.format(Math.round(seconds / size), unit)
}

function absolute(date, format) {
  const parts = []
  if (format.includes('w')) parts.push(date.toLocaleDateString(undefined, { weekday: 'long' }))
  if (format.includes('d')) parts.push(date.toLocaleDateString(undefined, { dateStyle: 'short' }))
  if (format.includes('D')) parts.push(date.toLocaleDateString(undefined, { dateStyle: 'long' }))
  if (format.includes('t')) parts.push(date.toLocaleTimeString(undefined, { timeStyle: 'short' }))
  if (format.includes('T')) parts.push(date.toLocaleTimeString(undefined, { timeStyle: 'medium' }))
  return parts.join(' ')
}
