import { fail } from '#src/errors.ts'
import type { XrayPrograms } from '#src/xray/programs/programs.ts'

/** Where no other Xray can be had. */
export const noPrograms: XrayPrograms = {
  current: () => 'xray',
  use: () => undefined,
  pathOf: (version) => version,
  kept: async () => [],
  fetch: async (version) => fail('DOWNLOAD_FAILED', { what: version, reason: 'there is no internet here' }),
  keepCurrent: async () => undefined,
  remove: async () => undefined,
  prune: async () => undefined,
  tidy: async () => undefined,
}
