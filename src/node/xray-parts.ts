import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { SeenConnection } from '#src/xray/access-pipe.ts'
import { addInbound } from '#src/xray/add-inbound.ts'
import { type XrayApi, connectXrayApi } from '#src/xray/api.ts'
import { xrayVersion } from '#src/xray/binary.ts'
import { writeFileAtomically } from '#src/xray/config-file.ts'
import { type Cutting, openCutting } from '#src/xray/cutting.ts'
import { createXrayProcess, xrayPaths } from '#src/xray/process.ts'
import type { XrayProcess } from '#src/xray/process-types.ts'
import type { RenderedInbound } from '#src/xray/render-inbound.ts'
import type { Network } from '#src/xray/streams.ts'
import { isPortFree, testConfig } from '#src/xray/validate.ts'

/** All a node does with Xray itself and the machine's ports. */
export interface XrayParts {
  process: XrayProcess
  api: XrayApi
  /** @throws like `addInbound` */
  openInbound(inbound: RenderedInbound): Promise<void>
  isPortFree(listen: string, port: number, networks: readonly Network[]): Promise<boolean>
  /** Lets Xray read a configuration without running it. @throws XRAY_REFUSED */
  testConfig(config: object): Promise<void>
  version(): Promise<string>
  /** Begins to look who is connected from where, and to be able to end it. To be called before Xray is started or adopted. */
  openCutting(isWanted: boolean, onSeen: (seen: SeenConnection) => void): Promise<Cutting>
  /** Removes what a kill has left of all this. */
  tidy(): Promise<void>
}

/** The Xray of a folder. */
export function realXray(options: { binary: string; dir: string; runtime: Runtime; log: Log }): XrayParts {
  const { binary, dir, runtime, log } = options
  const { socket, access } = xrayPaths(dir)
  const tested = join(dir, 'tested')
  return {
    process: createXrayProcess({ binary, dir, runtime, log }),
    api: connectXrayApi(socket),
    openInbound: (inbound) => addInbound(binary, socket, inbound),
    isPortFree,

    async testConfig(config) {
      const file = join(tested, `${randomId(runtime, 64)}.json`)
      try {
        await mkdir(tested, { recursive: true, mode: 0o700 })
        await writeFileAtomically(file, JSON.stringify(config))
        await testConfig(binary, file)
      } finally {
        await rm(file, { force: true })
      }
    },

    openCutting: (isWanted, onSeen) => openCutting({ path: access, isWanted, onSeen, runtime, log }),
    version: () => xrayVersion(binary),
    // A configuration that was being tested: it holds keys.
    tidy: () => rm(tested, { recursive: true, force: true }),
  }
}
