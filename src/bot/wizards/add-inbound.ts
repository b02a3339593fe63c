import type { OperationInput } from '#src/contract/index.ts'
import { port as portSchema, tag as tagSchema } from '#src/contract/primitives.ts'
import { portHolder } from '#src/fleet/ports.ts'
import { customTemplate } from '#src/fleet/custom.ts'
import { type Template, templates } from '#src/fleet/templates.ts'
import type { Fleet, Server } from '#src/fleet/types.ts'
import type { Runtime } from '#src/runtime.ts'
import { namesOf } from '../format.ts'
import type { Services } from '../services.ts'
import {
  asksServers,
  candidates,
  choiceWords,
  chosenServers,
  noServers,
  reachLine,
  refusedServers,
  type ServerChoice,
  serverStep,
} from './server-step.ts'
import {
  type CertificateChoice,
  certificateLines,
  certificateOrder,
  certificateStep,
  lookAtCertificates,
  noCertificate,
} from './certificate-step.ts'
import { customName, customSteps } from './custom-steps.ts'
import {
  type Extras,
  extraRows,
  fallbackStep,
  noExtras,
  takesFallback,
  tappedExtra,
  withExtras,
} from './extras.ts'
import { type TargetChoice, forwardStep, siteStep } from './target-steps.ts'
import { type TemplateChoice, templateName, templateStep } from './template-step.ts'
import { textStep } from './text-step.ts'
import { again, type Step, type Wizard } from './wizard.ts'

interface Answers extends ServerChoice, TemplateChoice, CertificateChoice, TargetChoice, Extras {
  port: number
  /** A free port to offer, drawn once so that the button keeps its meaning. */
  offered: number
  tag: string
}

/** Above what other services use, below the ports systems give to outgoing connections (Linux: from 32768). */
const FIRST_OFFERED = 20_000
const LAST_OFFERED = 32_000
/** Whatever is dressed as a web site looks most like the real thing there. */
const HTTPS = 443

/** How the inbound is made, and what is asked for it. */
const recipe = ({ template, custom }: TemplateChoice): Template =>
  custom === null ? templates[template] : customTemplate(custom)

/** The inbound as it is asked for so far; what is not known yet has no say in what it is asked for. */
function inboundOf(answers: Answers, random = '0'.repeat(16)): OperationInput<'inbounds.add'> {
  const { tag: name, port: number, target: site, domain } = answers
  const target = site === '' ? 'site.example:443' : site
  return withExtras(recipe(answers).make({ tag: name, port: number, target, domain, random }), answers)
}

/** Of these the servers on which another inbound has this port. */
function portUsers(fleet: Fleet, servers: Server[], answers: Answers): Server[] {
  const wanted = inboundOf({ ...answers, tag: 'new' })
  return servers.filter((server) => portHolder(fleet.view.inbounds(server.id), wanted) !== undefined)
}

/** A port no inbound of the fleet uses. */
function freePort(fleet: Fleet, runtime: Runtime): number {
  const used = new Set(
    candidates(fleet).flatMap((server) => fleet.view.inbounds(server.id).map((inbound) => inbound.port)),
  )
  const span = LAST_OFFERED - FIRST_OFFERED
  const start = runtime.randomBytes(2).readUInt16BE(0) % span
  for (let i = 0; i < span; i++) {
    const free = FIRST_OFFERED + ((start + i) % span)
    if (!used.has(free)) return free
  }
  return FIRST_OFFERED
}

const asks = (answers: Answers) => recipe(answers).asks

const port: Step<Answers> = textStep({
  question: (_, { t }) => [t('addInbound.port')],
  offers(answers, { fleet }) {
    const looksLikeWeb = asks(answers) === 'site' || asks(answers) === 'certificate'
    const offersHttps =
      looksLikeWeb && portUsers(fleet, candidates(fleet), { ...answers, port: HTTPS }).length === 0
    return [...(offersHttps ? [HTTPS] : []), answers.offered].map((value) => ({
      text: String(value),
      value: String(value),
    }))
  },
  take(answers, text, { t, fleet }) {
    const parsed = portSchema.safeParse(/^\d{1,5}$/.test(text) ? Number(text) : undefined)
    if (!parsed.success) return { stay: answers, error: t('addInbound.badPort') }
    const next = { ...answers, port: parsed.data }
    const known = answers.from === 0 && !fleet.servers.isSingle() ? [] : chosenServers(answers, fleet)
    const [user] = portUsers(fleet, known, next)
    if (user !== undefined)
      return { stay: answers, error: t('addInbound.portTaken', { port: text, server: user.name }) }
    return { next }
  },
})

const tag: Step<Answers> = textStep({
  question: (_, { t, fleet }) => [t('addInbound.tag'), !fleet.servers.isSingle() && t('addInbound.tagHint')],
  offers(answers) {
    const value = `${recipe(answers).prefix}-${answers.port}`
    return [{ text: value, value }]
  },
  take: (answers, text, { t }) =>
    tagSchema.safeParse(text).success
      ? { next: { ...answers, tag: text } }
      : { stay: answers, error: t('addInbound.badTag') },
})

const further = {
  site: [siteStep<Answers>()],
  forward: [forwardStep<Answers>()],
  certificate: [certificateStep<Answers>()],
  nothing: [],
}

/** Of these the servers where it would go wrong, said before anything is made. */
function clashes(answers: Answers, servers: Server[], fleet: Fleet): Server[] {
  const full = new Set(portUsers(fleet, servers, answers))
  return servers.filter(
    (server) =>
      full.has(server) || fleet.view.inbounds(server.id).some((inbound) => inbound.tag === answers.tag),
  )
}

const summary: Step<Answers> = {
  ask(answers, { fleet, t }) {
    const servers = chosenServers(answers, fleet)
    const taken = clashes(answers, servers, fleet).map((server) => server.name)
    const { target } = answers
    const made = inboundOf(answers)
    return {
      lines: [
        answers.custom === null ? templateName(answers.template, t) : customName(answers.custom, t),
        t('addInbound.sumPort', { port: answers.port }),
        t('addInbound.sumTag', { tag: answers.tag }),
        asks(answers) === 'site' && t('addInbound.sumTarget', { target }),
        asks(answers) === 'forward' && t('addInbound.sumForward', { target }),
        ...(asks(answers) === 'certificate' ? certificateLines(answers, fleet, t) : []),
        answers.fallback !== '' &&
          takesFallback(made) &&
          t('extras.sumFallback', { target: answers.fallback }),
        !fleet.servers.isSingle() &&
          t('addInbound.sumServers', { servers: choiceWords(servers, answers, t) }),
        reachLine(servers, t),
        taken.length > 0 && `⚠️ ${t('addInbound.clash', { servers: namesOf(taken) })}`,
      ],
      rows: [
        ...extraRows(answers, made, t),
        [{ text: t('button.create'), verb: 'create', style: 'success' }],
      ],
    }
  },
  answer(answers, input) {
    if (input.kind !== 'tap') return again(answers)
    return input.verb === 'create' ? { next: answers } : again(tappedExtra(answers, input.verb) ?? answers)
  },
}

/** Template, port, name, what the template needs, servers; then one inbound per server, with keys made on each. */
export function addInboundWizard(s: Services): Wizard<Answers, { server: number }> {
  const servers = serverStep<Answers>({ question: (t) => t('addInbound.servers') })
  const lastWord: Step<Answers> = {
    ...summary,
    look: async (answers) => ({
      ...answers,
      ...(asks(answers) === 'certificate'
        ? await lookAtCertificates(s, answers.domain, chosenServers(answers, s.fleet))
        : noCertificate),
    }),
  }
  return {
    need: 'inbounds.add',
    begin({ server }, { fleet, runtime, t }) {
      const choice = noServers(server)
      const refusal = refusedServers(choice, fleet, t)
      if (refusal !== undefined) return refusal
      const answers: Answers = {
        ...choice,
        template: 'vless-reality',
        custom: null,
        more: false,
        port: 0,
        offered: freePort(fleet, runtime),
        tag: '',
        target: '',
        ...noCertificate,
        ...noExtras,
      }
      return { answers }
    },
    crumbs: (answers, { fleet, t }) => {
      const name = fleet.servers.find(answers.from)?.name
      return [...(name === undefined ? [] : [name]), t('crumb.addInbound')]
    },
    steps: (answers, { fleet }) => [
      templateStep<Answers>(),
      ...customSteps(answers),
      port,
      tag,
      ...further[asks(answers)],
      ...(asksServers(answers, fleet) ? [servers] : []),
      ...(answers.wantsFallback && takesFallback(inboundOf(answers)) ? [fallbackStep<Answers>()] : []),
      lastWord,
    ],
    origin: (answers) => answers.from,
    async finish(answers, { id }, ctx) {
      // 8 bytes: the longest short id REALITY knows.
      const input = inboundOf(answers, s.runtime.randomBytes(8).toString('hex'))
      const targets = chosenServers(answers, s.fleet).map((server) => ({ serverId: server.id, input }))
      const before = certificateOrder(answers, s.fleet)
      const order = before === undefined ? {} : { before }
      await s.runBatch(ctx, { operation: 'inbounds.add', targets, ...order, id: `wiz_${id}` })
    },
  }
}
