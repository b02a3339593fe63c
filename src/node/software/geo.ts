/** New geo files: fetched beside all else, found good by Xray itself, and then put in place. */
import type { OperationName, OperationOutput } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { type GeoFile, geoFilesIn } from '#src/xray/programs/geo-files.ts'
import type { XrayState } from '#src/xray/life/process-types.ts'
import type { CommandKind, Commands } from '../engine/commands.ts'
import type { Engine } from '../engine/engine.ts'
import type { NodeOperations } from '../operations.ts'
import type { createSettings } from '../rows/settings.ts'
import type { XrayParts } from '../engine/xray-parts.ts'

export interface GeoDeps {
  xray: Pick<XrayParts, 'fetchGeoFiles' | 'geoFileHash'>
  engine: { state(): Pick<XrayState, 'startedAt'>; config: Engine['config'] }
  commands: Commands
  settings: Pick<ReturnType<typeof createSettings>, 'geoChangedUnder' | 'setGeoChangedUnder'>
}

const operation = 'system.updateGeoFiles' satisfies OperationName

export function createGeo({ xray, engine, commands, settings }: GeoDeps) {
  /** What is kept of an update beside its change. */
  interface Target {
    files: GeoFile[]
  }

  const kind: CommandKind = {
    async requireDone({ target }) {
      for (const { name, sha256 } of (target as Target).files) {
        if ((await xray.geoFileHash(name)) !== sha256) {
          fail('GEO_FILES_REFUSED', { reason: 'fleetgram ended before this was done' })
        }
      }
    },
    answer({ target }): OperationOutput<typeof operation> {
      const { startedAt } = engine.state()
      const isUnread = startedAt !== null && settings.geoChangedUnder() === startedAt
      return {
        files: (target as Target).files,
        restartNeeded: isUnread && geoFilesIn(engine.config(true)).length > 0,
      }
    },
  }

  const operations: Pick<NodeOperations, typeof operation> = {
    [operation]: (_, call) =>
      commands.runPrepared(operation, null, call, async () => {
        const update = await xray.fetchGeoFiles(engine.config(true))
        const isNew = update.files.some(({ status }) => status === 'updated')
        return {
          target: { files: update.files } satisfies Target,
          async effect() {
            const { startedAt } = engine.state()
            // First: killed in between, a restart too many is better than one that nobody knows of.
            if (isNew && startedAt !== null) settings.setGeoChangedUnder(startedAt)
            await update.swapIn()
          },
          end: () => update.discard(),
        }
      }),
  }

  return { operations, kinds: { [operation]: kind } }
}
