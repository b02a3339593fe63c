import { Api, type ApiClientOptions, Bot as Telegram, Context, GrammyError } from 'grammy'
import type { Update } from 'grammy/types'
import { fail } from '#src/errors.ts'
import type { Delivery, Outgoing } from '#src/notify/sender.ts'
import { spotOf, spotOfKey, whoIs } from './access.ts'
import { answered } from './answered.ts'
import { forApi, safeFields } from './api-errors.ts'
import { createFollowers } from './batches.ts'
import { decodeTap } from './callback-data.ts'
import { createCommands, registerCommands } from './commands.ts'
import { deliver } from './deliver.ts'
import { loadLanguages } from './i18n/texts.ts'
import { keepHouse } from './housekeeping.ts'
import { lookUpByDns } from './domain-check.ts'
import { createInboxWorkers } from './inbox.ts'
import { createLive } from './live.ts'
import { createMenus } from './menus.ts'
import { deadlineTransformer, retryTransformer } from './patience.ts'
import { poll } from './poller.ts'
import { createDispatch, type Dispatch } from './router.ts'
import { showHome } from './routes/browse.ts'
import { runBatch } from './routes/change.ts'
import { createRedraw } from './redraw.ts'
import { createRoutes } from './routes/index.ts'
import { joined, showJoin } from './routes/join.ts'
import type { Routes } from './routes/route.ts'
import { refreshServer, showEdit, showServer } from './routes/server.ts'
import { noteScreen } from './screens/confirm.ts'
import type { Services } from './services.ts'
import { createChats } from './store/chats.ts'
import { createDrafts } from './store/drafts.ts'
import { createInboxStore } from './store/inbox.ts'
import { createTaps } from './store/taps.ts'
import { forClient, openTelegramLine } from './telegram-fetch.ts'
import { updateTree } from './tree.ts'
import type { BotDeps, StageContext } from './types.ts'
import { createWizards } from './wizards/index.ts'

export interface Bot {
  /** @throws FleetError TELEGRAM_TOKEN_REFUSED. Telegram being out of reach is no error: it goes on trying. */
  start(): Promise<void>
  /** Lets what is being handled end; what does not is handled again after the next start. */
  stop(): Promise<void>
  /** Sends a row of the outbox; throws what may pass, to be tried again. */
  deliver(message: Outgoing, signal?: AbortSignal): Promise<Delivery>
  /** Empty until Telegram has been reached. */
  readonly username: string
}

/** Handlings and edits under way get this long when the bot stops. */
const STOP_PATIENCE_MS = 5_000
/** The start waits for this, and the client alone would wait for minutes where the network swallows everything. */
const MEET_WITHIN_MS = 10_000
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 30_000

/** The Telegram side of the controller. It asks the fleet for everything, and nobody else. */
export function createBot(deps: BotDeps): Bot {
  const { token, db, box, fleet, runtime, log } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  const line = deps.line ?? openTelegramLine()
  const client: ApiClientOptions = { apiRoot: deps.apiRoot, fetch: forClient(line.fetch) }
  const telegram = new Telegram(token, { client })
  // The one used last comes first: every single try has its deadline.
  const interactive = [deadlineTransformer(runtime), retryTransformer(runtime, signal)]
  telegram.api.config.use(...interactive)
  /** Without waiting for rate limits: for polling and for the outbox, which have their own patience. */
  const impatient = new Api(token, client)
  impatient.config.use(deadlineTransformer(runtime))

  const languages = loadLanguages()
  const chats = createChats(db)
  const drafts = createDrafts(db, box)
  const inboxStore = createInboxStore(db, box)
  const taps: Services['taps'] = createTaps(db, runtime)

  const dispatch: Dispatch = (ctx, tap) => dispatchTo(ctx, tap)
  const menus = createMenus(fleet, dispatch)
  const live = createLive({
    chats,
    runtime,
    home: () => (fleet.servers.isSingle() ? fleet.servers.default().name : undefined),
    menu: (stage, ref) => menus.render(stage, ref),
    bind: (nonces, messageId) => taps.bind(nonces, messageId),
  })
  const followers = createFollowers({ ...deps, live, chats, signal })
  const s: Services = {
    ...deps,
    live,
    taps,
    chats,
    lookUp: deps.lookUp ?? ((name) => lookUpByDns(name)),
    signal,
    answered: (ctx, work) => answered(ctx, runtime, work),
    runBatch: (ctx, request) => runBatch(s, followers, ctx, request),
    async goBack(ctx, address, server) {
      if (await redrawing.at(ctx, address)) return
      await (fleet.servers.find(server) === undefined ? showHome(s, ctx) : showServer(s, ctx, server))
    },
    showJoin: (ctx, server) => showJoin(s, ctx, server),
    showEdit: (ctx, server) => showEdit(s, ctx, server),
  }
  const redrawing = createRedraw(s, () => routes)
  const routes: Routes = createRoutes(s, followers, (ctx) => redrawing.shown(ctx))
  const dispatchTo = createDispatch(s, () => routes)
  const commands = createCommands(s, dispatch)
  telegram.use(updateTree({ s, languages, menus, drafts, dispatch, commands, wizards: createWizards(s) }))

  /** A context to draw with where there is no update: a server has joined, progress goes on after a restart. */
  function stageOf(key: string): StageContext {
    const api = new Api(token, client)
    api.config.use(...interactive)
    const language = languages.forCode(chats.get(key)?.language)
    const bare = new Context({ update_id: 0 }, api, telegram.botInfo)
    return Object.assign(bare, { language, t: language.t, spot: spotOfKey(key) })
  }

  const contextOf = (update: Update): Context => new Context(update, telegram.api, telegram.botInfo)
  const workers = createInboxWorkers({
    db,
    store: inboxStore,
    drafts,
    runtime,
    log,
    signal,
    draftKey: (update) => spotOf(contextOf(update))?.key,
    handle: (update) => telegram.handleUpdate(update),
    async onFailed(update) {
      const ctx = contextOf(update)
      const spot = spotOf(ctx)
      if (spot === undefined || whoIs(ctx, deps.owners) === undefined) return
      const stage = stageOf(spot.key)
      await live.aside(stage, noteScreen(stage.t('failed'), stage.t))
    },
  })

  /** @returns why Telegram was not reached, undefined when it was. @throws FleetError TELEGRAM_TOKEN_REFUSED */
  async function meet(): Promise<unknown> {
    try {
      const soon = AbortSignal.any([signal, AbortSignal.timeout(MEET_WITHIN_MS)])
      telegram.botInfo = await impatient.getMe(forApi(soon))
      return undefined
    } catch (error) {
      const code = error instanceof GrammyError ? error.error_code : undefined
      if (code === 401 || code === 404) fail('TELEGRAM_TOKEN_REFUSED')
      return error
    }
  }

  const notMet = (error: unknown, waitMs: number): void =>
    log.warn(
      { api: new URL(deps.apiRoot).host, error: safeFields(error), waitMs },
      "Telegram cannot be reached yet; trying again. Is this machine's way to the internet open, and telegram.apiRoot right?",
    )

  async function keepMeeting(first: unknown): Promise<void> {
    notMet(first, FIRST_RETRY_MS)
    for (let wait = FIRST_RETRY_MS; ;) {
      await runtime.sleep(wait, signal)
      const error = await meet()
      if (error === undefined) break
      const next = Math.min(wait * 2, LONGEST_RETRY_MS)
      // Told while it is tried less and less often; after that there is nothing new to say.
      if (next > wait) notMet(error, next)
      wait = next
    }
    log.info({ bot: telegram.botInfo.username }, 'Telegram is reached')
    await run()
  }

  const loops = new Set<Promise<unknown>>()
  const unsubscribe: (() => void)[] = []
  const background = (what: string, work: () => Promise<unknown>): void => {
    const loop = work()
      .catch((error: unknown) => {
        if (!signal.aborted) log.error({ error: safeFields(error) }, what)
      })
      .finally(() => loops.delete(loop))
    loops.add(loop)
  }

  async function run(): Promise<void> {
    unsubscribe.push(
      fleet.on('joined', ({ serverId }) =>
        background('the screen of a joined server was not drawn', () => joined(s, stageOf, serverId, 'now')),
      ),
      fleet.on('server', ({ serverId }) =>
        background('the screen of a server was not drawn anew', () => refreshServer(s, stageOf, serverId)),
      ),
    )
    const house = { inbox: inboxStore, drafts, taps, runtime, log, signal }
    await impatient.deleteWebhook().catch(() => undefined)
    background('old rows are not removed any more', () => keepHouse(house))
    background('a screen was not taken up again', takeUp)
    background('the list of commands was not set', announce)
    workers.resume()
    await poll({ ...deps, api: impatient, signal, take: (updates) => workers.take(updates) })
  }

  /** What was on a screen when this process's predecessor ended, and moved on since. */
  async function takeUp(): Promise<void> {
    for (const server of fleet.servers.list()) {
      if (server.endpoint !== null || server.status !== 'pending') await joined(s, stageOf, server.id, 'ever')
    }
    for (const { id, screen } of chats.showing('b.')) {
      const tap = decodeTap(screen ?? '')
      if (tap?.verb === 'batch') followers.follow(stageOf(id), tap.fields.batch)
    }
  }

  async function announce(): Promise<void> {
    for (const owner of deps.owners) {
      const { t } = languages.forCode(chats.get(String(owner))?.language)
      // An owner who has not written yet is not known to Telegram; their /start does it.
      await registerCommands(impatient, owner, t).catch(() => undefined)
    }
  }

  return {
    async start() {
      const error = await meet()
      background('the bot has stopped', error === undefined ? run : () => keepMeeting(error))
    },
    async stop() {
      stopping.abort(new Error('stopped'))
      for (const off of unsubscribe) off()
      const patience = new AbortController()
      const late = runtime.sleep(STOP_PATIENCE_MS, patience.signal).catch(() => undefined)
      await Promise.race([Promise.all([workers.idle(), followers.idle(), Promise.allSettled(loops)]), late])
      patience.abort()
      await line.close()
    },
    deliver: (message, cut) =>
      deliver({
        api: impatient,
        fleet,
        languages,
        languageOf: (chat) => chats.get(chat)?.language,
        message,
        ...(cut === undefined ? {} : { signal: cut }),
      }),
    get username() {
      return telegram.isInited() ? telegram.botInfo.username : ''
    },
  }
}
