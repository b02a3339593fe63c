import type { InboundRow, Server } from '#src/fleet/types.ts'
import { button, pager, short } from '../buttons.ts'
import { bytes } from '../format.ts'
import { html, lines } from '../html.ts'
import type { T } from '../i18n/texts.ts'
import { pageOf } from '../paging.ts'
import type { Screen } from '../types.ts'
import { howWords, kindWords } from './inbound-kind.ts'

/** The inbounds of one server, 8 a page. */
export function inboundsScreen(
  model: { server: Server; inbounds: InboundRow[]; page: number },
  t: T,
): Screen {
  const { server, inbounds } = model
  const at = pageOf(inbounds, model.page)
  return {
    place: { path: [server.name, t('crumb.inbounds')], page: at },
    text: lines(inbounds.length === 0 ? t('inbounds.none') : t('inbounds.count', { count: inbounds.length })),
    keyboard: [
      ...at.items.map((inbound) => [
        button(
          `${!inbound.enabled ? '⏸' : inbound.blocked === null ? '✅' : '⛔'} ${short(inbound.tag, 24)} · ${inbound.port} · ${inbound.clientCount} 👤`,
          'inbound',
          {
            server: server.id,
            inbound: inbound.id,
          },
        ),
      ]),
      ...pager(at, 'inbounds', (page) => ({ server: server.id, page })),
      [button(t('button.addInbound'), 'addInbound', { server: server.id }, 'primary')],
      [button(t('button.back'), 'server', { server: server.id })],
    ],
  }
}

/** One inbound. `enable` is the nonce behind the button that switches it on; off is asked about first. */
export function inboundScreen(model: { server: Server; inbound: InboundRow; enable: string }, t: T): Screen {
  const { server, inbound, enable } = model
  const here = { server: server.id, inbound: inbound.id }
  const { security: layer } = inbound.stream
  const takesClients = inbound.protocol !== 'tunnel'
  return {
    place: { path: [server.name, t('crumb.inbounds'), inbound.tag] },
    text: lines(
      inbound.enabled ? t('inbound.on') : t('inbound.off'),
      inbound.enabled && inbound.blocked !== null && `⛔ ${t(`limits.closed.${inbound.blocked}`)}`,
      t('inbound.kind', { kind: kindWords(inbound, t), port: inbound.port }),
      html`${t('inbound.listen')} <code>${inbound.listen}</code>`,
      layer.type === 'reality' && html`${t('inbound.target')} <code>${layer.target}</code>`,
      inbound.remark !== '' && inbound.remark,
      '',
      takesClients && t('inbound.clients', { n: inbound.clientCount }),
      t('home.traffic', { up: bytes(inbound.up), down: bytes(inbound.down) }),
      '',
      ...howWords(inbound, t),
    ),
    nonces: [enable],
    keyboard: [
      [
        inbound.enabled
          ? button(t('button.disable'), 'disableInbound', here)
          : button(t('button.enable'), 'do', { nonce: enable }, 'success'),
        button(t('button.delete'), 'deleteInbound', here, 'danger'),
      ],
      ...(takesClients ? [[button(t('button.addClient'), 'addClientTo', here, 'primary')]] : []),
      [button(t('button.back'), 'inbounds', { server: server.id, page: 0 })],
    ],
  }
}
