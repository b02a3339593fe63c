/** The element with this id; the page is broken without it, so it says so at once. */
export function byId(id) {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`#${id} is missing`)
  return element
}

/** A new element with a class and children; strings become text, never markup. */
export function make(tag, className, ...children) {
  const element = document.createElement(tag)
  if (className) element.className = className
  element.append(...children)
  return element
}

/** Drawn here and not taken from a font: not every machine has these signs. */
const ICONS = {
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  open: 'M7 17 17 7M9 7h8v8',
  silent: 'M4 4l16 16M8 8a5 5 0 0 1 8 4v4l2 2H6l2-2v-4M11 21h2',
}

/** A small icon by its name. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', `mini ${name}`)
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  path.setAttribute('d', ICONS[name])
  svg.append(path)
  return svg
}

/** Asks the playground to do something; throws an Error with its reason when it did not. */
export async function post(path, body = {}) {
  const token = document.querySelector('meta[name="playground-token"]').content
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-playground-token': token },
    body: JSON.stringify(body),
  })
  const result = await answer.json()
  if (!answer.ok) throw new Error(result.error)
  return result
}

/** Shows a line for a moment over the chat. */
export function toast(text) {
  const element = byId('toast')
  element.textContent = text
  element.hidden = false
  clearTimeout(Number(element.dataset.timer))
  element.dataset.timer = String(
    setTimeout(() => {
      element.hidden = true
    }, 3200),
  )
}

/** Copies text, also where the page is not a secure context (an address in the local network). */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const field = make('textarea', 'offscreen')
    field.value = text
    document.body.append(field)
    field.select()
    document.execCommand('copy')
    field.remove()
  }
  toast('Copied')
}
