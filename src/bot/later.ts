import type { Server } from '#src/fleet/types.ts'
import { isReachable, namesOf } from './format.ts'
import type { T } from './i18n/texts.ts'

/** Where a change that waits for its servers is not made at once, and when it is: a line for each reason. */
export function laterWords(
  servers: readonly Pick<Server, 'name' | 'enabled' | 'kind' | 'status' | 'endpoint'>[],
  t: T,
): string[] {
  const away = servers.filter((server) => server.enabled && !isReachable(server)).map(({ name }) => name)
  const disabled = servers.filter(({ enabled }) => !enabled).map(({ name }) => name)
  return [
    ...(away.length === 0 ? [] : [`⏳ ${t('later.away', { count: away.length, names: namesOf(away) })}`]),
    ...(disabled.length === 0
      ? []
      : [`⏳ ${t('later.disabled', { count: disabled.length, names: namesOf(disabled) })}`]),
  ]
}
