import type { Certificate } from '#src/contract/index.ts'
import type { InboundRow } from '#src/fleet/types.ts'
import { button } from '../buttons.ts'
import { encodeTap, type Fields } from '../callback-data.ts'
import { nameKey } from '../name-key.ts'
import { certificateScreen, certificatesScreen } from '../screens/certificates.ts'
import type { Services, Toast } from '../services.ts'
import type { BotContext } from '../types.ts'
import { askFirst } from './ask.ts'
import { type Reading, readFrom, showReading } from './reading.ts'
import { ownerOf, type Routes } from './route.ts'

type OfCertificates = 'certificates' | 'certificate' | 'deleteCertificate'

const listed: Parameters<typeof readFrom<Certificate[]>>[2] = (connector, options) =>
  connector.certificates.list(undefined, options)

/** What servers hold certificates for; undefined for one that does not say so now. */
export async function domainsHeld(s: Services, serverId: number): Promise<string[] | undefined> {
  const reading = await readFrom(s, serverId, listed)
  return reading.state === 'known' ? reading.value.map(({ domain }) => domain) : undefined
}

/** Those of the inbounds that show the certificate for a domain. */
function usersOf(inbounds: readonly InboundRow[], domain: string): string[] {
  return inbounds
    .filter(({ stream: { security } }) => {
      if (security.type !== 'tls' || security.certificate.source !== 'store') return false
      return security.certificate.domain.toLowerCase() === domain
    })
    .map(({ tag }) => tag)
}

/** The certificates of a server: it is asked for them each time, since what renews itself changes by itself. */
export function certificateRoutes(s: Services): Routes<OfCertificates> {
  const { servers, view } = s.fleet

  function one(reading: Reading<Certificate[]>, cert: string): Reading<Certificate | undefined> {
    if (reading.state !== 'known') return reading
    return { state: 'known', value: reading.value.find(({ domain }) => nameKey(domain) === cert) }
  }

  async function showOne(ctx: BotContext, { server: serverId, cert }: Fields<'certificate'>): Promise<void> {
    const server = servers.get(serverId)
    const address = encodeTap('certificate', { server: serverId, cert })
    await showReading(s, ctx, { serverId, address, read: listed }, (answer) => {
      const reading = one(answer, cert)
      const found = reading.state === 'known' ? reading.value : undefined
      const users = found === undefined ? [] : usersOf(view.inbounds(serverId), found.domain)
      const renew =
        found === undefined || found.kind === 'imported'
          ? undefined
          : s.taps.offer(ownerOf(ctx), {
              kind: 'tasks',
              operation: 'certificates.renew',
              targets: [{ serverId, input: { domain: found.domain } }],
            })
      return certificateScreen({ server, cert, reading, users, renew }, ctx.t)
    })
  }

  async function askToDelete(ctx: BotContext, fields: Fields<'deleteCertificate'>): Promise<Toast | void> {
    const { t } = ctx
    const server = servers.get(fields.server)
    const reading = one(await readFrom(s, server.id, listed), fields.cert)
    if (reading.state !== 'known') return { text: t('certificates.unreachable'), alert: true }
    if (reading.value === undefined) return { text: t('certificates.gone'), alert: true }
    const { domain } = reading.value
    const targets = [{ serverId: server.id, input: { domain } }]
    await askFirst(
      s,
      ctx,
      encodeTap('deleteCertificate', fields),
      { kind: 'tasks', operation: 'certificates.delete', targets },
      {
        crumbs: [server.name, t('crumb.certificates'), domain],
        question: t('certificates.deleteQuestion', { domain, server: server.name }),
        effect: t('certificates.deleteEffect'),
        yes: t('button.delete'),
        back: button(t('button.back'), 'certificate', fields),
      },
    )
  }

  return {
    certificates: {
      need: 'certificates.list',
      run(ctx, { server: serverId, page }) {
        const server = servers.get(serverId)
        const address = encodeTap('certificates', { server: serverId, page })
        return showReading(s, ctx, { serverId, address, read: listed }, (reading) =>
          certificatesScreen({ server, reading, page }, ctx.t),
        )
      },
    },
    certificate: { need: 'certificates.list', run: (ctx, fields) => showOne(ctx, fields) },
    deleteCertificate: { need: 'certificates.delete', run: (ctx, fields) => askToDelete(ctx, fields) },
  }
}
