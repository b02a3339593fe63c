import type { Log } from '#src/log.ts'
import type { Sqlite } from '#src/store/open.ts'
import { findXray, isXrayPinned } from '#src/xray/programs/binary.ts'
import { programPath } from '#src/xray/programs/programs.ts'
import type { NodeOptions } from '../node.ts'
import { createSettings } from '../rows/settings.ts'

/**
 * The Xray a node begins with: the one its environment names, else the one an admin has installed, else what is found
 * or can be fetched.
 * @throws FleetError XRAY_NOT_FOUND
 */
export async function chooseXray(options: {
  db: Sqlite
  env: Record<string, string | undefined>
  /** Folder of the programs an admin installs. */
  installDir: string
  /** Where a fetched one is kept, as `findXray` takes it. */
  cacheDir: readonly string[]
  log: Log
}): Promise<Pick<NodeOptions, 'binary' | 'pinned' | 'installDir'>> {
  const { db, env, installDir, cacheDir, log } = options
  const version = createSettings(db).xrayVersion()
  const chosen = version === null ? null : programPath(installDir, version)
  return { binary: await findXray({ env, chosen, cacheDir, log }), pinned: isXrayPinned(env), installDir }
}
