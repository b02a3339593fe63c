import { email as emailSchema } from '#src/contract/primitives.ts'
import type { Fleet, Server } from '#src/fleet/types.ts'
import type { Runtime } from '#src/runtime.ts'
import { button } from '../buttons.ts'
import { namesOf } from '../format.ts'
import { type LimitsDraft, endInput, noLimits } from '../limit-input.ts'
import { nameKey } from '../name-key.ts'
import type { Services } from '../services.ts'
import { type InboundChoice, inboundStep, tagsMeant, tagsOf } from './inbound-step.ts'
import { limitWords, limitsStep } from './limits-step.ts'
import {
  asksServers,
  candidates,
  choiceWords,
  chosenServers,
  noServers,
  reachLine,
  refusedServers,
  serverStep,
} from './server-step.ts'
import { nothingPicked } from './pick-step.ts'
import { textStep } from './text-step.ts'
import { again, type Step, type Wizard } from './wizard.ts'

interface Answers extends InboundChoice {
  name: string
  offered: string
  /** The inbound it was begun from, which then is not asked for. */
  into: string | null
  limits: LimitsDraft
  /** Asked for: most clients have none, and are not asked. */
  wantsLimits: boolean
}

/** A name that is free: short, easy to read aloud. */
function freeName(fleet: Fleet, runtime: Runtime): string {
  for (;;) {
    const name = `user-${(runtime.randomBytes(3).readUIntBE(0, 3) % 36 ** 4).toString(36).padStart(4, '0')}`
    if (fleet.view.person(name) === undefined) return name
  }
}

const name: Step<Answers> = textStep({
  question: (_, { t }) => [t('addClient.name')],
  offers: (answers) => [{ text: answers.offered, value: answers.offered }],
  take(answers, text, { t, fleet }) {
    const parsed = emailSchema.safeParse(text)
    if (!parsed.success) return { stay: answers, error: t('addClient.badName') }
    if (fleet.view.person(parsed.data) !== undefined) {
      return { stay: answers, error: t('addClient.taken', { name: parsed.data }) }
    }
    return { next: { ...answers, name: parsed.data } }
  },
})

const inbounds = inboundStep<Answers>()

/** Not where there is one only, nor for the one it was begun from, if that is still there. */
function asksInbounds(answers: Answers, fleet: Fleet): boolean {
  const known = tagsOf(answers, fleet)
  return known.length !== 1 && !known.some(({ tag }) => tag === answers.into)
}

/** A target per server and inbound; servers without any of the inbounds. */
function placements(
  answers: Answers,
  fleet: Fleet,
): { targets: { serverId: number; tag: string }[]; without: Server[] } {
  const tags = tagsMeant(answers, tagsOf(answers, fleet))
  const entries = tagsOf(answers, fleet).filter((entry) => tags.includes(entry.tag))
  const servers = chosenServers(answers, fleet)
  return {
    targets: servers.flatMap((server) =>
      entries
        .filter((entry) => entry.servers.includes(server.id))
        .map(({ tag }) => ({ serverId: server.id, tag })),
    ),
    without: servers.filter((server) => !entries.some((entry) => entry.servers.includes(server.id))),
  }
}

const summary: Step<Answers> = {
  ask(answers, { fleet, t }) {
    const { without } = placements(answers, fleet)
    const servers = chosenServers(answers, fleet)
    const missing = without.slice(0, 5).map((server) => server.name)
    return {
      lines: [
        t('addClient.sumName', { name: answers.name }),
        !fleet.servers.isSingle() &&
          t('addInbound.sumServers', { servers: choiceWords(servers, answers, t) }),
        t('addClient.sumInbounds', { tags: namesOf(tagsMeant(answers, tagsOf(answers, fleet))) }),
        t('addClient.sumLimits', { limits: limitWords(answers.limits, t) }),
        reachLine(servers, t),
        without.length > 0 &&
          `⚠️ ${t('addClient.without', { servers: missing.join(', '), count: without.length })}`,
      ],
      rows: [
        ...(answers.wantsLimits ? [] : [[{ text: t('button.setLimits'), verb: 'limits' }]]),
        [{ text: t('button.create'), verb: 'create', style: 'success' }],
      ],
    }
  },
  answer(answers, input) {
    if (input.kind !== 'tap') return again(answers)
    if (input.verb === 'create') return { next: answers }
    // That question comes before this one, so that it is asked now, and Back leads to it.
    return again(input.verb === 'limits' ? { ...answers, wantsLimits: true } : answers)
  },
}

/** Name, servers, inbounds, limits where they are asked for, then one client with the same credentials everywhere. */
export function addClientWizard(s: Services): Wizard<Answers, { server: number; inbound?: number }> {
  const noInbound = (
    servers: Server[],
    t: Parameters<typeof reachLine>[1],
    fleet: Fleet,
  ): string | undefined =>
    fleet.view.tags(servers.map((server) => server.id)).length === 0 ? t('addClient.noInbound') : undefined
  const servers = serverStep<Answers>({ question: (t) => t('addClient.servers'), check: noInbound })
  return {
    need: 'clients.add',
    begin({ server, inbound = 0 }, { fleet, runtime, t }) {
      const into = fleet.view.inbound(server, inbound)?.tag ?? null
      const answers: Answers = {
        ...noServers(server),
        name: '',
        offered: freeName(fleet, runtime),
        into,
        tags: into === null ? nothingPicked : { ...nothingPicked, keys: [nameKey(into)] },
        limits: noLimits,
        wantsLimits: false,
      }
      const refusal = refusedServers(answers, fleet, t)
      if (refusal !== undefined) return refusal
      const meant = asksServers(answers, fleet) ? candidates(fleet) : chosenServers(answers, fleet)
      const refuse = noInbound(meant, t, fleet)
      const next = [[button(t('button.addInbound'), 'addInbound', { server }, 'primary')]]
      return refuse === undefined ? { answers } : { refuse, next }
    },
    crumbs: (answers, { fleet, t }) => {
      const from = fleet.servers.find(answers.from)?.name
      return [...(from === undefined ? [] : [from]), t('crumb.addClient')]
    },
    steps: (answers, { fleet }) => [
      name,
      ...(asksServers(answers, fleet) ? [servers] : []),
      // Before the servers are known the number of inbounds is not: then the question is counted.
      ...(asksInbounds(answers, fleet) ? [inbounds] : []),
      ...(answers.wantsLimits ? [limitsStep<Answers>()] : []),
      summary,
    ],
    origin: (answers) => answers.from,
    async finish(answers, { id, startedAt }, ctx) {
      const { limitBytes, ipLimit } = answers.limits
      const limits = { limitBytes, ipLimit, ...endInput(answers.limits, startedAt) }
      const client = { ...s.fleet.newClient(answers.name), ...limits }
      const targets = placements(answers, s.fleet).targets.map(({ serverId, tag }) => ({
        serverId,
        input: { id: tag, clients: [client] },
      }))
      await s.runBatch(ctx, { operation: 'clients.add', targets, id: `wiz_${id}` })
    },
  }
}
