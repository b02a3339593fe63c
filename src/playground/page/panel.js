import { byId, make, post } from './dom.js'

/** Fills the side panel: who one can be, what one can break, where else to look. */
export function renderPanel(state, me, onPerson) {
  byId('people').replaceChildren(
    ...state.people.map((person) =>
      choice(person.first_name, person.username, person.id === me, () => onPerson(person.id)),
    ),
  )
  byId('actions').replaceChildren(...state.actions.map(actionItem))
  byId('actions-section').hidden = state.actions.length === 0
  byId('links').replaceChildren(...state.links.map(linkItem))
  byId('links-section').hidden = state.links.length === 0
}

/** Fills the list of chats; a person with one chat has nothing to choose. */
export function renderChats(chats, current, onChat) {
  byId('chats-section').hidden = chats.length < 2
  byId('chats').replaceChildren(
    ...chats.map((chat) =>
      choice(chat.title ?? 'The bot', undefined, chat.id === current, () => onChat(chat.id)),
    ),
  )
}

function choice(name, username, chosen, onChoose) {
  const button = make(
    'button',
    '',
    make('span', 'initial', name.slice(0, 1).toUpperCase()),
    make('span', 'name', name),
  )
  if (username) button.append(make('small', '', `@${username}`))
  button.type = 'button'
  button.setAttribute('aria-pressed', String(chosen))
  button.addEventListener('click', onChoose)
  return make('li', '', button)
}

function actionItem(action) {
  const button = make('button', '', make('strong', '', action.label))
  if (action.hint) button.append(make('small', '', action.hint))
  button.type = 'button'
  button.addEventListener('click', async () => {
    button.disabled = true
    try {
      const { said } = await post(`/page/actions/${encodeURIComponent(action.id)}`)
      log(said)
    } catch (error) {
      log(`${action.label}: ${error.message}`)
    } finally {
      button.disabled = false
    }
  })
  return make('li', '', button)
}

function linkItem(link) {
  const anchor = make('a', '', link.label, make('small', '', link.url))
  if (/^https?:/i.test(link.url)) anchor.href = link.url
  anchor.target = '_blank'
  anchor.rel = 'noopener noreferrer'
  return make('li', '', anchor)
}

function log(text) {
  const clock = new Date().toLocaleTimeString(undefined, { timeStyle: 'medium' })
  byId('log-section').hidden = false
  byId('log').prepend(make('li', '', make('time', '', clock), text))
}
