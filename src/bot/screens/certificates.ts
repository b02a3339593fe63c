import type { Certificate } from '#src/contract/index.ts'
import type { Server } from '#src/fleet/types.ts'
import { button, pager, short } from '../buttons.ts'
import { moment, namesOf } from '../format.ts'
import { HERE, type Html, html, lines, placed } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { nameKey } from '../name-key.ts'
import { pageOf } from '../paging.ts'
import type { Reading } from '../routes/reading.ts'
import type { Screen } from '../types.ts'

/** Days before its end from which a certificate is something to look at: nothing that renews itself comes near. */
const SOON_DAYS = 14
/** Characters of an authority's own words, which stand beside everything else. */
const LONGEST_REASON = 300

function mark({ daysLeft, lastError }: Certificate): string {
  if (daysLeft < 0) return '⛔'
  return daysLeft < SOON_DAYS || lastError !== null ? '⚠️' : '✅'
}

function daysWords({ daysLeft }: Certificate, t: T): string {
  return daysLeft < 0 ? t('certificates.ended') : t('certificates.daysLeft', { count: daysLeft })
}

function waitLine({ enabled }: Server, { state }: Reading<unknown>, t: T): string | undefined {
  if (state === 'asking') return t('certificates.asking')
  if (state === 'known') return undefined
  return enabled ? t('certificates.unreachable') : t('errors.SERVER_DISABLED')
}

/** The certificates of one server, 8 a page. */
export function certificatesScreen(
  model: { server: Server; reading: Reading<Certificate[]>; page: number },
  t: T,
): Screen {
  const { server, reading } = model
  const all = reading.state === 'known' ? reading.value : []
  const at = pageOf(all, model.page)
  const known = all.length === 0 ? t('certificates.none') : t('certificates.count', { count: all.length })
  return {
    place: { path: [server.name, t('crumb.certificates')], page: at },
    text: lines(
      waitLine(server, reading, t) ?? known,
      ...at.items.map(({ domain, kind }) => html`• ${domain}: ${t(`certificates.short.${kind}`)}`),
    ),
    keyboard: [
      ...at.items.map((each) => [
        button(`${mark(each)} ${short(each.domain, 24)} · ${daysWords(each, t)}`, 'certificate', {
          server: server.id,
          cert: nameKey(each.domain),
        }),
      ]),
      ...pager(at, 'certificates', (page) => ({ server: server.id, page })),
      // One that does not answer can get none, whatever the form would ask first.
      ...(reading.state === 'unreachable'
        ? []
        : [[button(t('button.getCertificate'), 'getCertificate', { server: server.id }, 'primary')]]),
      [
        button(t('button.back'), 'server', { server: server.id }),
        button(t('button.refresh'), 'certificates', { server: server.id, page: at.page }),
      ],
    ],
  }
}

export interface CertificateModel {
  server: Server
  /** By which the screen was opened. */
  cert: string
  reading: Reading<Certificate | undefined>
  /** Names of the inbounds that use it. */
  users: string[]
  /** The nonce behind "Renew"; undefined where there is nothing to renew. */
  renew: string | undefined
}

function certificateLines(certificate: Certificate, users: string[], t: T): (Html | string | false)[] {
  const { kind, issuer, notAfter, autoRenew, nextTryAt, lastError } = certificate
  return [
    kind === 'acme'
      ? t('certificates.kind.acme', { issuer: short(issuer, 100) })
      : t(`certificates.kind.${kind}`),
    html`${mark(certificate)} ${placed(t('certificates.until', { time: HERE }), moment(notAfter, 'at'))}, ${daysWords(certificate, t)}`,
    autoRenew &&
      nextTryAt !== null &&
      placed(t('certificates.renews', { time: HERE }), moment(nextTryAt, 'at')),
    !autoRenew && t('certificates.staysAsIs'),
    lastError !== null &&
      html`⚠️ ${t('certificates.lastError', { reason: short(lastError, LONGEST_REASON) })}`,
    '',
    users.length === 0 ? t('certificates.unused') : t('certificates.usedBy', { inbounds: namesOf(users, 8) }),
  ]
}

/** One certificate. One that inbounds use cannot be deleted, so that is not offered. */
export function certificateScreen({ server, cert, reading, users, renew }: CertificateModel, t: T): Screen {
  const certificate = reading.state === 'known' ? reading.value : undefined
  const here = { server: server.id, cert }
  const isThere = certificate !== undefined
  return {
    place: { path: [server.name, t('crumb.certificates'), ...(isThere ? [certificate.domain] : [])] },
    text: lines(
      ...(isThere
        ? certificateLines(certificate, users, t)
        : [waitLine(server, reading, t) ?? t('certificates.gone')]),
    ),
    nonces: renew === undefined ? [] : [renew],
    keyboard: [
      [
        ...(renew === undefined ? [] : [button(t('button.renew'), 'do', { nonce: renew })]),
        ...(isThere && users.length === 0
          ? [button(t('button.delete'), 'deleteCertificate', here, 'danger')]
          : []),
      ],
      [
        button(t('button.back'), 'certificates', { server: server.id, page: 0 }),
        button(t('button.refresh'), 'certificate', here),
      ],
    ].filter((row) => row.length > 0),
  }
}
