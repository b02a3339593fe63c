import { fullName } from '#src/contract/certificates.ts'
import { hostName } from '#src/contract/stream.ts'
import type { Change, Fleet, Server } from '#src/fleet/types.ts'
import { challengeFor, challengePorts } from '../challenges.ts'
import { type Leading, leadsTo } from '../domain-check.ts'
import { namesOf } from '../format.ts'
import type { T } from '../i18n/texts.ts'
import { domainsHeld } from '../routes/certificates.ts'
import type { Services } from '../services.ts'
import { textStep } from './text-step.ts'
import type { Step } from './wizard.ts'

export interface CertificateChoice {
  /** null: the inbound makes its own. */
  domain: string | null
  /** Of the chosen servers those that hold no certificate for the domain, and those that do not say. */
  lacking: number[]
  silent: number[]
  /** Where the domain leads, seen from each that is to get a certificate for it. */
  leads: { server: number; leading: Leading }[]
}

export const noCertificate: CertificateChoice = { domain: null, lacking: [], silent: [], leads: [] }

/** Which certificate an inbound shows: its own, or that for a domain. */
export function certificateStep<A extends CertificateChoice>(): Step<A> {
  return textStep({
    question: (_, { t }) => [
      t('addInbound.certificate'),
      t('addInbound.ownHint'),
      t('addInbound.domainHint'),
    ],
    offers: (_, { t }) => [{ text: t('addInbound.ownCertificate'), value: '' }],
    take(answers, text, { t }) {
      if (text === '') return { next: { ...answers, domain: null } }
      return hostName.safeParse(text).success && text.includes('.')
        ? { next: { ...answers, domain: text.toLowerCase() } }
        : { stay: answers, error: t('addInbound.badDomain') }
    },
  })
}

async function leadsOf(s: Services, domain: string, servers: number[]): Promise<CertificateChoice['leads']> {
  if (servers.length === 0) return []
  const looked = s.lookUp(domain)
  return Promise.all(servers.map(async (server) => ({ server, leading: await leadsTo(s, looked, server) })))
}

/** Asks servers whether they hold the certificate, all at once. */
export async function lookAtCertificates(
  s: Services,
  domain: string | null,
  servers: readonly Server[],
): Promise<CertificateChoice> {
  if (domain === null) return noCertificate
  const answers = await Promise.all(servers.map(async ({ id }) => ({ id, held: await domainsHeld(s, id) })))
  const lacking = answers.filter(({ held }) => held?.includes(domain) === false).map(({ id }) => id)
  return {
    domain,
    lacking,
    silent: answers.filter(({ held }) => held === undefined).map(({ id }) => id),
    leads: fullName.safeParse(domain).success ? await leadsOf(s, domain, lacking) : [],
  }
}

/** What comes before an inbound that shows a certificate which is not there yet: getting it. */
export function certificateOrder(
  { domain, lacking }: CertificateChoice,
  fleet: Fleet,
): Extract<Change, { operation: 'certificates.generate' }> | undefined {
  const name = fullName.safeParse(domain)
  if (!name.success || lacking.length === 0) return undefined
  const targets = lacking.map((serverId) => ({
    serverId,
    input: { domain: name.data, method: challengeFor(fleet.view.inbounds(serverId)) },
  }))
  return { operation: 'certificates.generate', targets }
}

/** What would make an authority refuse a domain; nothing where it leads to the server, or where nobody can tell. */
export function leadingLines(domain: string, leads: Leading, t: T): string[] {
  const own = namesOf(leads.own)
  switch (leads.to) {
    case 'nowhere':
      return [`⚠️ ${t('getCertificate.leadsNowhere', { domain })}`]
    case 'elsewhere':
      return [`⚠️ ${t('getCertificate.leadsElsewhere', { domain, found: namesOf(leads.strange), own })}`]
    default:
      return []
  }
}

/** Of several servers those that the domain does not lead to: it can lead to one of them, as a rule. */
function strayLines(
  domain: string,
  leads: CertificateChoice['leads'],
  names: (ids: number[]) => string,
  t: T,
): string[] {
  const [first] = leads
  if (first !== undefined && leads.length === 1) return leadingLines(domain, first.leading, t)
  const of = (to: Leading['to']): number[] =>
    leads.filter(({ leading }) => leading.to === to).map(({ server }) => server)
  const [nowhere, elsewhere] = [of('nowhere'), of('elsewhere')]
  if (nowhere.length > 0) return [`⚠️ ${t('getCertificate.leadsNowhere', { domain })}`]
  return elsewhere.length === 0
    ? []
    : [`⚠️ ${t('getCertificate.leadsAside', { domain, servers: names(elsewhere) })}`]
}

/** What is to be known of the certificate before the inbound is made. */
export function certificateLines(choice: CertificateChoice, fleet: Fleet, t: T): string[] {
  const { domain, lacking, silent, leads } = choice
  if (domain === null) return [t('addInbound.sumOwn')]
  const names = (ids: number[]): string => namesOf(ids.flatMap((id) => fleet.servers.find(id)?.name ?? []))
  const order = certificateOrder(choice, fleet)
  const ports = new Set(
    order?.targets.flatMap(({ input }) =>
      input.method === 'self-signed' ? [] : [challengePorts[input.method]],
    ),
  )
  return [
    t('addInbound.sumDomain', { domain }),
    ...(order === undefined
      ? []
      : [
          `🔑 ${t('addInbound.getsFirst', { servers: names(lacking), domain, port: [...ports].join(', ') })}`,
        ]),
    ...(order === undefined ? [] : strayLines(domain, leads, names, t)),
    ...(order === undefined && lacking.length > 0
      ? [`⚠️ ${t('addInbound.noneGiven', { servers: names(lacking), domain })}`]
      : []),
    ...(silent.length === 0 ? [] : [`⚠️ ${t('addInbound.notSaid', { servers: names(silent), domain })}`]),
  ]
}
