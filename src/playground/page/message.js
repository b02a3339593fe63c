import { copy, icon, make } from './dom.js'
import { renderText } from './entities.js'

/**
 * One message as a list item. `context` is { me, isGroup, onTap(message, row, column, element), onPhoto(src) };
 * a re-rendered message takes the place of the old item.
 */
export function renderMessage(message, context) {
  const mine = message.from.id === context.me
  const item = make('li', `message ${mine ? 'mine' : 'theirs'}`)
  item.dataset.id = String(message.message_id)
  const bubble = make('div', 'bubble')
  if (context.isGroup && !mine) bubble.append(make('div', 'sender', message.from.first_name))
  if (message.reply_to_message) bubble.append(quoted(message.reply_to_message))
  if (message.photo) bubble.append(photo(message, context))
  if (message.document) bubble.append(file(message.document))
  const text = message.text ?? message.caption
  const stamp = meta(message)
  if (text) {
    const body = make('div', 'text', renderText(text, message.entities ?? message.caption_entities))
    // As wide as the stamp in the corner, so that the last line never runs under it.
    const spacer = stamp.cloneNode(true)
    spacer.className = 'spacer'
    spacer.setAttribute('aria-hidden', 'true')
    body.append(spacer)
    bubble.append(body)
  }
  bubble.append(stamp)
  if (message.photo && !text) bubble.classList.add('bare')
  item.append(bubble)
  if (message.reactions.length > 0)
    bubble.append(make('div', 'reactions', ...message.reactions.map((emoji) => make('span', '', emoji))))
  if (message.reply_markup) item.append(keyboard(message, context))
  return item
}

function meta(message) {
  const date = new Date((message.edit_date ?? message.date) * 1000)
  const clock = date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  const element = make('span', 'meta')
  if (message.silent) element.append(icon('silent'))
  if (message.edit_date) element.append('edited ')
  element.append(clock)
  return element
}

function quoted(message) {
  const text = message.text ?? message.caption ?? (message.photo ? 'Photo' : 'File')
  return make('div', 'quoted', make('strong', '', message.from.first_name), make('span', '', text))
}

function photo(message, context) {
  const size = message.photo.at(-1)
  const image = make('img', 'photo')
  image.src = `/page/files/${encodeURIComponent(size.file_id)}`
  image.alt = message.caption ?? 'Photo'
  image.width = size.width
  image.height = size.height
  image.addEventListener('click', () => context.onPhoto(image.src))
  return image
}

function file(info) {
  const anchor = make('a', 'file')
  anchor.href = `/page/files/${encodeURIComponent(info.file_id)}?download`
  anchor.download = info.file_name
  const extension = info.file_name.split('.').at(-1).slice(0, 4)
  anchor.append(
    make('span', 'file-icon', extension),
    make('span', 'file-name', info.file_name, make('small', '', bytes(info.file_size))),
  )
  return anchor
}

function bytes(count) {
  if (count < 1024) return `${count} B`
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KB` : `${(count / 1024 / 1024).toFixed(1)} MB`
}

function keyboard(message, context) {
  const element = make('div', 'keyboard')
  message.reply_markup.inline_keyboard.forEach((row, rowIndex) => {
    const line = make('div', 'row')
    row.forEach((button, column) => line.append(renderButton(button, message, rowIndex, column, context)))
    element.append(line)
  })
  return element
}

function renderButton(button, message, row, column, context) {
  const kinds = { url: 'opens', copy_text: 'copies', disabled: 'off' }
  const kind = Object.keys(kinds).find((name) => button[name] !== undefined)
  const element = make(
    'button',
    `key ${kinds[kind] ?? ''} ${button.style ?? ''}`,
    make('span', '', button.text),
  )
  element.type = 'button'
  if (button.copy_text) element.append(icon('copy'))
  if (button.url) element.append(icon('open'))
  if (button.disabled !== undefined) element.disabled = true
  else if (button.copy_text) element.addEventListener('click', () => void copy(button.copy_text.text))
  else if (button.url)
    element.addEventListener('click', () => window.open(button.url, '_blank', 'noopener,noreferrer'))
  else element.addEventListener('click', () => context.onTap(message, row, column, element))
  return element
}
