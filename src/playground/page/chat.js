import { byId, make, post, toast } from './dom.js'
import { refreshTimes } from './entities.js'
import { renderMessage } from './message.js'
import { renderChats, renderPanel } from './panel.js'

/** A button waits this long for the bot's answer before its spinner goes, as in the apps. */
const SPINNER_MS = 15_000
/** Typing is shown this long after the bot last said so (Bot API, sendChatAction). */
const TYPING_MS = 5000
/** Closer to the end than this, the newest message is followed. */
const NEAR_BOTTOM_PX = 120
/** A smooth scroll takes about so long; what comes meanwhile is followed too. */
const SCROLL_MS = 800

const view = {
  user: 0,
  chat: 0,
  isGroup: false,
  source: undefined,
  /** @type {{ command: string, description: string }[]} */
  commands: [],
  messages: new Map(),
  /** Tapped buttons by their query's id, and the queries the bot has answered. */
  spinners: new Map(),
  answered: new Set(),
  pinned: null,
  typingTimer: 0,
  /** On its way to the newest message until then (ms). */
  scrollingUntil: 0,
}
const history = byId('history')
const list = byId('messages')

const context = {
  get me() {
    return view.user
  },
  get isGroup() {
    return view.isGroup
  },
  onTap: (message, row, column, element) => void tap(message, row, column, element),
  onPhoto: (src) => {
    byId('viewer-image').src = src
    byId('viewer').showModal()
  },
}

function nearBottom() {
  if (Date.now() < view.scrollingUntil) return true
  return history.scrollHeight - history.scrollTop - history.clientHeight < NEAR_BOTTOM_PX
}

function toBottom(smooth = true) {
  if (smooth) view.scrollingUntil = Date.now() + SCROLL_MS
  history.scrollTo({ top: history.scrollHeight, behavior: smooth ? 'smooth' : 'instant' })
}

function setStatus(text, active = false) {
  const status = byId('chat-status')
  status.textContent = text
  status.classList.toggle('active', active)
}

function put(message) {
  const item = renderMessage(message, context)
  const old = list.querySelector(`li[data-id="${message.message_id}"]`)
  view.messages.set(message.message_id, message)
  if (old) {
    old.replaceWith(item)
    if (message.isEdit) item.classList.add('changed')
    return
  }
  const last = [...list.querySelectorAll('li.message')].at(-1)
  const day = new Date(message.date * 1000).toDateString()
  if (last?.dataset.day !== day && list.dataset.day !== day) {
    const label = new Date(message.date * 1000).toLocaleDateString(undefined, {
      day: 'numeric',
      month: 'long',
    })
    list.append(make('li', 'day', label))
    list.dataset.day = day
  }
  list.append(item)
}

function showPinned() {
  const message = view.messages.get(view.pinned)
  byId('pinned').hidden = message === undefined
  byId('pinned-text').textContent = message?.text ?? message?.caption ?? 'Message'
}

function showStarted(started) {
  byId('start').hidden = started
  byId('composer').hidden = !started
  byId('welcome').hidden = started
}

function showCommands(filter = '') {
  const matching = view.commands.filter(({ command }) => `/${command}`.startsWith(filter))
  byId('menu').hidden = view.commands.length === 0
  byId('commands').replaceChildren(
    ...matching.map(({ command, description }) => {
      const button = make(
        'button',
        '',
        make('span', 'command-name', `/${command}`),
        make('span', '', description),
      )
      button.type = 'button'
      button.addEventListener('click', () => void say(`/${command}`))
      return make('li', '', button)
    }),
  )
  return matching.length
}

function openCommands(open, filter = '') {
  const count = showCommands(filter)
  byId('commands').hidden = !open || count === 0
  byId('menu').setAttribute('aria-expanded', String(open && count > 0))
}

const events = {
  snapshot(data) {
    Object.assign(view, {
      chat: data.chat.id,
      isGroup: data.chat.type !== 'private',
      commands: data.commands,
      pinned: data.pinned,
    })
    view.messages.clear()
    list.replaceChildren()
    delete list.dataset.day
    byId('chat-title').textContent = data.chat.title ?? data.bot.first_name
    byId('welcome-text').textContent =
      data.description || `Press Start and ${data.bot.first_name} says hello.`
    document.title = `${data.chat.title ?? data.bot.first_name} · playground`
    setStatus(view.isGroup ? 'group' : 'bot')
    for (const message of data.messages) put(message)
    showStarted(data.started)
    showPinned()
    openCommands(false)
    renderChats(data.chats, data.chat.id, (id) => void open(view.user, id))
    toBottom(false)
  },
  message(data) {
    const follow = nearBottom() || data.from.id === view.user
    put(data)
    if (data.from.id === view.user) showStarted(true)
    else if (!data.isEdit) setStatus(view.isGroup ? 'group' : 'bot')
    if (data.message_id === view.pinned) showPinned()
    if (follow) toBottom()
  },
  deleted(ids) {
    for (const id of ids) {
      view.messages.delete(id)
      list.querySelector(`li[data-id="${id}"]`)?.remove()
    }
    showPinned()
  },
  pinned(id) {
    view.pinned = id
    showPinned()
  },
  typing(action) {
    setStatus(action === 'typing' ? 'typing…' : `${action.replaceAll('_', ' ')}…`, true)
    clearTimeout(view.typingTimer)
    view.typingTimer = setTimeout(() => setStatus(view.isGroup ? 'group' : 'bot'), TYPING_MS)
  },
  answered(data) {
    stopSpinner(data.queryId)
    if (data.text === '') return
    if (!data.alert) return toast(data.text)
    byId('alert-text').textContent = data.text
    byId('alert').showModal()
  },
  commands(commands) {
    view.commands = commands
    openCommands(false)
  },
  people() {
    void refreshPanel()
  },
}

function stopSpinner(queryId) {
  view.answered.add(queryId)
  view.spinners.get(queryId)?.classList.remove('waiting')
  view.spinners.delete(queryId)
}

async function tap(message, row, column, element) {
  element.classList.add('waiting')
  try {
    const { queryId } = await post('/page/tap', {
      user: view.user,
      chat: view.chat,
      message: message.message_id,
      row,
      column,
    })
    // The bot's answer may have overtaken ours.
    if (view.answered.has(queryId)) return element.classList.remove('waiting')
    view.spinners.set(queryId, element)
    setTimeout(() => stopSpinner(queryId), SPINNER_MS)
  } catch (error) {
    element.classList.remove('waiting')
    toast(error.message)
  }
}

async function say(text) {
  openCommands(false)
  if (text.trim() === '') return
  try {
    await post('/page/send', { user: view.user, chat: view.chat, text })
    byId('text').value = ''
    grow()
  } catch (error) {
    toast(error.message)
  }
}

function grow() {
  const field = byId('text')
  field.style.height = 'auto'
  field.style.height = `${Math.min(field.scrollHeight, 140)}px`
  byId('send').classList.toggle('ready', field.value.trim() !== '')
}

async function refreshPanel() {
  const answer = await fetch('/page/state')
  const state = await answer.json()
  renderPanel(state, view.user, (id) => void open(id))
  return state
}

/** Looks at a chat as someone: the bot's own chat unless another is named. */
async function open(user, chat) {
  view.source?.close()
  Object.assign(view, { user, spinners: new Map() })
  const url = new URL(location.href)
  url.searchParams.set('user', String(user))
  if (chat === undefined) url.searchParams.delete('chat')
  else url.searchParams.set('chat', String(chat))
  window.history.replaceState(null, '', url)
  document.body.classList.remove('panel-open')
  await refreshPanel()
  const source = new EventSource(`/page/events${url.search}`)
  view.source = source
  source.addEventListener('error', () => setStatus('connecting…'))
  for (const [name, handle] of Object.entries(events)) {
    source.addEventListener(name, (event) => handle(JSON.parse(event.data)))
  }
}

function wire() {
  const field = byId('text')
  byId('composer').addEventListener('submit', (event) => {
    event.preventDefault()
    void say(field.value)
  })
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault()
      void say(field.value)
    }
  })
  field.addEventListener('input', () => {
    grow()
    openCommands(/^\/\w*$/.test(field.value), field.value)
  })
  byId('menu').addEventListener('click', () => openCommands(byId('commands').hidden))
  byId('start').addEventListener('click', () => void say('/start'))
  byId('pinned').addEventListener('click', () => {
    list
      .querySelector(`li[data-id="${view.pinned}"]`)
      ?.scrollIntoView({ behavior: 'smooth', block: 'center' })
  })
  history.addEventListener('scroll', () => {
    byId('to-bottom').hidden = nearBottom()
  })
  byId('to-bottom').addEventListener('click', () => toBottom())
  list.addEventListener('click', (event) => {
    const command = event.target.closest('[data-command]')
    if (command === null) return
    event.preventDefault()
    void say(command.dataset.command)
  })
  byId('viewer').addEventListener('click', () => byId('viewer').close())
  byId('open-panel').addEventListener('click', () => {
    openCommands(false)
    document.body.classList.add('panel-open')
  })
  byId('panel').addEventListener('click', (event) => {
    if (event.target === byId('panel')) document.body.classList.remove('panel-open')
  })
  byId('close-panel').addEventListener('click', () => document.body.classList.remove('panel-open'))
  byId('new-person').addEventListener('submit', (event) => {
    event.preventDefault()
    const name = byId('new-name')
    post('/page/people', { firstName: name.value })
      .then(({ id }) => open(id))
      .catch((error) => toast(error.message))
    name.value = ''
  })
  setInterval(refreshTimes, 1000)
}

async function begin() {
  wire()
  const wanted = new URL(location.href).searchParams
  const state = await refreshPanel()
  const known = state.people.find(({ id }) => String(id) === wanted.get('user')) ?? state.people[0]
  if (known === undefined) {
    document.body.classList.add('panel-open')
    setStatus('say who you are')
    return
  }
  const chat = wanted.get('user') === String(known.id) ? (wanted.get('chat') ?? undefined) : undefined
  await open(known.id, chat)
}

begin().catch((error) => setStatus(error.message))
