import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import { addInbound } from '#src/xray/add-inbound.ts'
import { type XrayApi, connectXrayApi } from '#src/xray/api.ts'
import { xrayVersion } from '#src/xray/binary.ts'
import { type CompiledParts, compileParts } from '#src/xray/compile.ts'
import { writeFileAtomically } from '#src/xray/config-file.ts'
import { rotateLog } from '#src/xray/log-rotation.ts'
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
  /** Ways out and rules in Xray's own words, nothing changed. @throws XRAY_REFUSED */
  compile(parts: { outbounds: object[]; routing: object }): Promise<CompiledParts>
  version(): Promise<string>
  /** Keeps what Xray writes from filling the disk. */
  rotateLogs(): Promise<void>
  /** Removes what a kill has left of all this. */
  tidy(): Promise<void>
}

/** The Xray of a folder. */
export function realXray(options: { binary: string; dir: string; runtime: Runtime; log: Log }): XrayParts {
  const { binary, dir, runtime, log } = options
  const paths = xrayPaths(dir)
  const { socket } = paths
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

    async compile(parts) {
      await mkdir(tested, { recursive: true, mode: 0o700 })
      return compileParts(binary, join(tested, `${randomId(runtime, 64)}.pb`), parts)
    },

    version: () => xrayVersion(binary),

    async rotateLogs() {
      for (const file of [paths.log, paths.output]) await rotateLog(file, log)
    },

    // A configuration that was being tested: it holds keys.
    tidy: () => rm(tested, { recursive: true, force: true }),
  }
}
