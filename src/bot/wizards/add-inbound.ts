import type { InboundInput, OperationInput } from '#src/contract/index.ts'
import { port as portSchema, tag as tagSchema } from '#src/contract/primitives.ts'
import type { Fleet, Server } from '#src/fleet/types.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Services } from '../services.ts'
import {
  asksServers,
  candidates,
  choiceWords,
  chosenServers,
  noServers,
  reachLine,
  type ServerChoice,
  serverStep,
} from './server-step.ts'
import { textStep } from './text-step.ts'
import { again, type Step, type Wizard } from './wizard.ts'

interface Answers extends ServerChoice {
  template: 'reality' | 'plain'
  port: number
  /** A free port to offer, drawn once so that the button keeps its meaning. */
  offered: number
  tag: string
  target: string
}

/** Above what other services use, below the ports systems give to outgoing connections (Linux: from 32768). */
const FIRST_OFFERED = 20_000
const LAST_OFFERED = 32_000
/** REALITY looks most like the real thing where HTTPS is. */
const HTTPS = 443

/** Large sites that speak TLS 1.3 and HTTP/2, which REALITY needs of a target. */
const TARGETS = ['www.microsoft.com:443', 'www.nvidia.com:443', 'dl.google.com:443']
const TARGET = /^([A-Za-z0-9.-]{1,253})(?::(\d{1,5}))?$/

function portUser(fleet: Fleet, servers: Server[], port: number): Server | undefined {
  return servers.find((server) => fleet.view.inbounds(server.id).some((inbound) => inbound.port === port))
}

/** A port no inbound of the fleet uses. */
function freePort(fleet: Fleet, runtime: Runtime): number {
  const servers = candidates(fleet)
  const span = LAST_OFFERED - FIRST_OFFERED
  const start = runtime.randomBytes(2).readUInt16BE(0) % span
  for (let i = 0; i < span; i++) {
    const port = FIRST_OFFERED + ((start + i) % span)
    if (portUser(fleet, servers, port) === undefined) return port
  }
  return FIRST_OFFERED
}

const template: Step<Answers> = {
  ask: (_, { t }) => ({
    lines: [t('addInbound.template'), t('addInbound.templateHint')],
    rows: [
      [{ text: t('addInbound.reality'), verb: 'use', arg: 'reality', style: 'primary' }],
      [{ text: t('addInbound.plain'), verb: 'use', arg: 'plain' }],
    ],
  }),
  answer: (answers, input) =>
    input.kind === 'tap' && input.verb === 'use'
      ? { next: { ...answers, template: input.arg === 'plain' ? 'plain' : 'reality' } }
      : again(answers),
}

const port: Step<Answers> = textStep({
  question: (_, t) => [t('addInbound.port')],
  offers(answers, { fleet }) {
    const https = answers.template === 'reality' && portUser(fleet, candidates(fleet), HTTPS) === undefined
    return [...(https ? [HTTPS] : []), answers.offered].map((value) => ({
      text: String(value),
      value: String(value),
    }))
  },
  take(answers, text, { t, fleet }) {
    const parsed = portSchema.safeParse(/^\d{1,5}$/.test(text) ? Number(text) : undefined)
    if (!parsed.success) return { stay: answers, error: t('addInbound.badPort') }
    const known = answers.from === 0 && !fleet.servers.isSingle() ? [] : chosenServers(answers, fleet)
    const user = portUser(fleet, known, parsed.data)
    if (user !== undefined)
      return { stay: answers, error: t('addInbound.portTaken', { port: text, server: user.name }) }
    return { next: { ...answers, port: parsed.data } }
  },
})

const tag: Step<Answers> = textStep({
  question: (_, t) => [t('addInbound.tag'), t('addInbound.tagHint')],
  offers(answers) {
    const value = `${answers.template === 'reality' ? 'reality' : 'vless'}-${answers.port}`
    return [{ text: value, value }]
  },
  take: (answers, text, { t }) =>
    tagSchema.safeParse(text).success
      ? { next: { ...answers, tag: text } }
      : { stay: answers, error: t('addInbound.badTag') },
})

const target: Step<Answers> = textStep({
  question: (_, t) => [t('addInbound.target'), t('addInbound.targetHint')],
  offers: () => TARGETS.map((value) => ({ text: value, value })),
  take(answers, text, { t }) {
    const match = TARGET.exec(text)
    if (match === null || !text.includes('.')) return { stay: answers, error: t('addInbound.badTarget') }
    return { next: { ...answers, target: `${match[1]}:${match[2] ?? HTTPS}` } }
  },
})

/** What would go wrong on these servers, said before anything is made. */
function clash(answers: Answers, servers: Server[], fleet: Fleet): Server | undefined {
  return servers.find((server) =>
    fleet.view
      .inbounds(server.id)
      .some((inbound) => inbound.port === answers.port || inbound.tag === answers.tag),
  )
}

const summary: Step<Answers> = {
  ask(answers, { fleet, t }) {
    const servers = chosenServers(answers, fleet)
    const taken = clash(answers, servers, fleet)
    return {
      lines: [
        answers.template === 'reality' ? t('addInbound.reality') : t('addInbound.plain'),
        t('addInbound.sumPort', { port: answers.port }),
        t('addInbound.sumTag', { tag: answers.tag }),
        answers.template === 'reality' && t('addInbound.sumTarget', { target: answers.target }),
        !fleet.servers.isSingle() &&
          t('addInbound.sumServers', { servers: choiceWords(servers, answers, t) }),
        reachLine(servers, t),
        taken !== undefined && `⚠️ ${t('addInbound.clash', { server: taken.name })}`,
      ],
      rows: [[{ text: t('button.create'), verb: 'create', style: 'success' }]],
    }
  },
  answer: (answers, input) =>
    input.kind === 'tap' && input.verb === 'create' ? { next: answers } : again(answers),
}

function inboundInputOf(answers: Answers, shortId: string): OperationInput<'inbounds.add'> {
  const security: InboundInput['stream']['security'] =
    answers.template === 'plain'
      ? { type: 'none' }
      : {
          type: 'reality',
          target: answers.target,
          serverNames: [answers.target.replace(/:\d+$/, '')],
          shortIds: [shortId],
          fingerprint: 'chrome',
        }
  const { tag: name, port: number } = answers
  return { tag: name, port: number, protocol: 'vless', stream: { transport: { type: 'raw' }, security } }
}

/** Template, port, name, target, servers, then one inbound per server; REALITY's keys are made on each of them. */
export function addInboundWizard(s: Services): Wizard<Answers, { server: number }> {
  const servers = serverStep<Answers>((t) => t('addInbound.servers'))
  return {
    need: 'inbounds.add',
    begin: ({ server }, { fleet, runtime }) => ({
      answers: {
        ...noServers(server),
        template: 'reality',
        port: 0,
        offered: freePort(fleet, runtime),
        tag: '',
        target: '',
      },
    }),
    crumbs: (answers, { fleet, t }) => {
      const name = fleet.servers.find(answers.from)?.name
      return [...(name === undefined ? [] : [name]), t('crumb.addInbound')]
    },
    steps: (answers, { fleet }) => [
      template,
      port,
      tag,
      ...(answers.template === 'reality' ? [target] : []),
      ...(asksServers(answers, fleet) ? [servers] : []),
      summary,
    ],
    origin: (answers) => answers.from,
    async finish(answers, { id }, ctx) {
      // 8 bytes: the longest short id REALITY knows.
      const input = inboundInputOf(answers, s.runtime.randomBytes(8).toString('hex'))
      const targets = chosenServers(answers, s.fleet).map((server) => ({ serverId: server.id, input }))
      await s.runBatch(ctx, { operation: 'inbounds.add', targets, id: `wiz_${id}` })
    },
  }
}
