import { type Challenge, challenges, fullName } from '#src/contract/certificates.ts'
import { challengeFor, challengePorts, inTheWay } from '../challenges.ts'
import { type Leading, leadsTo, unknownLeading } from '../domain-check.ts'
import { namesOf } from '../format.ts'
import { html } from '../html.ts'
import type { Services } from '../services.ts'
import { leadingLines } from './certificate-step.ts'
import { noServers, refusedServers } from './server-step.ts'
import { textStep } from './text-step.ts'
import { again, type Choice, type Step, type Wizard } from './wizard.ts'

interface Answers {
  server: number
  domain: string
  challenge: Challenge
  /** What was found of the domain when it was looked up. */
  leads: Leading
}

const domain: Step<Answers> = textStep({
  question: (_, { t }) => [t('getCertificate.domain'), t('getCertificate.domainHint')],
  take(answers, text, { t }) {
    const parsed = fullName.safeParse(text)
    return parsed.success
      ? { next: { ...answers, domain: parsed.data } }
      : { stay: answers, error: t('getCertificate.badDomain') }
  },
})

/** How it is proven, which is also the last word before it is: what must be so is said here. */
const proof: Step<Answers> = {
  ask({ server, domain: name, leads }, { fleet, t }) {
    const isLed = leads.to === 'here' || leads.to === 'unknown'
    const inbounds = fleet.view.inbounds(server)
    const row = fleet.servers.find(server)
    // Where no address of it is known, its name says which machine is meant.
    const address = leads.own.length > 0 ? namesOf(leads.own) : (row?.publicAddress ?? row?.name ?? '')
    const best = challengeFor(inbounds)
    const blocked = challenges.flatMap((challenge) => {
      const holder = inTheWay(inbounds, challenge)
      if (holder === undefined) return []
      return [t('getCertificate.inTheWay', { port: challengePorts[challenge], tag: holder.tag })]
    })
    return {
      lines: [
        t('getCertificate.proof', { domain: name }),
        '',
        t('getCertificate.leadsTo', { domain: name, address }) + (leads.to === 'here' ? ' ✅' : ''),
        t('getCertificate.free'),
        ...leadingLines(name, leads, t),
        ...blocked.map((line) => html`⚠️ ${line}`),
      ],
      rows: [
        ...challenges.map((challenge): Choice[] => [
          {
            text: t('getCertificate.through', { port: challengePorts[challenge] }),
            verb: 'prove',
            arg: challenge,
            ...(challenge === best && isLed ? { style: 'success' } : {}),
          },
        ]),
        ...(isLed ? [] : [[{ text: t('button.lookAgain'), verb: 'look', style: 'primary' as const }]]),
      ],
    }
  },
  answer(answers, input) {
    const challenge = challenges.find((known) => input.kind === 'tap' && input.arg === known)
    return challenge === undefined ? again(answers) : { next: { ...answers, challenge } }
  },
}

/** A domain and how it is proven; then the server gets a certificate for it from the certificate authority. */
export function getCertificateWizard(s: Services): Wizard<Answers, { server: number }> {
  const seen: Step<Answers> = {
    ...proof,
    look: async (answers) => ({
      ...answers,
      leads: await leadsTo(s, s.lookUp(answers.domain), answers.server),
    }),
  }
  return {
    need: 'certificates.generate',
    begin({ server }, { fleet, t }) {
      const refusal = refusedServers(noServers(server), fleet, t)
      return refusal ?? { answers: { server, domain: '', challenge: 'http-01', leads: unknownLeading } }
    },
    crumbs: ({ server }, { fleet, t }) => [
      fleet.servers.find(server)?.name ?? '?',
      t('crumb.certificates'),
      t('button.getCertificate'),
    ],
    steps: () => [domain, seen],
    origin: ({ server }) => server,
    async finish({ server, domain: name, challenge }, { id }, ctx) {
      const targets = [{ serverId: server, input: { domain: name, method: challenge } }]
      await s.runBatch(ctx, { operation: 'certificates.generate', targets, id: `wiz_${id}` })
    },
  }
}
