import { existsSync } from 'node:fs'
import { mkdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Log } from '#src/log.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { SeenConnection } from '#src/xray/sockets/access-pipe.ts'
import { addInbound } from '#src/xray/api/add-inbound.ts'
import { type XrayApi, connectXrayApi } from '#src/xray/api/api.ts'
import { type CompiledParts, compileParts } from '#src/xray/api/compile.ts'
import { type Download, downloadByHttps } from '#src/xray/programs/download.ts'
import {
  type GeoFileName,
  type GeoUpdate,
  fetchGeoFiles,
  geoFileHash,
  geoFileNames,
  tidyGeoFiles,
} from '#src/xray/programs/geo-files.ts'
import { type HeldBack, findClosed } from '#src/xray/life/held-back.ts'
import { rotateLog } from '#src/xray/life/log-rotation.ts'
import { type Cutting, openCutting } from '#src/xray/sockets/cutting.ts'
import { isPortFree } from '#src/xray/life/ports.ts'
import { createXrayProcess, xrayPaths } from '#src/xray/life/process.ts'
import type { XrayProcess } from '#src/xray/life/process-types.ts'
import type { RenderedInbound } from '#src/xray/config/render-inbound.ts'
import type { Network } from '#src/xray/config/streams.ts'
import { type XrayProgram, xrayVersion } from '#src/xray/programs/program.ts'
import { type XrayPrograms, createPrograms } from '#src/xray/programs/programs.ts'
import { testConfig } from '#src/xray/config/validate.ts'

/** All a node does with Xray itself and the machine's ports. */
export interface XrayParts {
  process: XrayProcess
  api: XrayApi
  programs: XrayPrograms
  /** @throws like `addInbound` */
  openInbound(inbound: RenderedInbound): Promise<void>
  isPortFree(listen: string, port: number, networks: readonly Network[]): Promise<boolean>
  /** Ways out and rules in Xray's own words, nothing changed. @throws XRAY_REFUSED */
  compile(parts: { outbounds: object[]; routing: object }): Promise<CompiledParts>
  /** Inbounds of a configuration that could not be opened now, because of their ports. */
  findClosed(config: object): Promise<HeldBack[]>
  /** Lets Xray read a configuration without running it; another program than the present one, if told. @throws XRAY_REFUSED */
  testConfig(config: object, program?: Partial<XrayProgram>): Promise<void>
  /** Of the program that is run. */
  version(): Promise<string>
  /** Whether a process runs just this file, also when another has taken its place by name. */
  runs(pid: number, binary: string): Promise<boolean>
  /** Fetches newer geo files and has Xray load them, with this configuration too. @throws like `fetchGeoFiles` */
  fetchGeoFiles(config: object): Promise<GeoUpdate>
  /** The checksum of a geo file in use; null where there is none. */
  geoFileHash(name: GeoFileName): Promise<string | null>
  /** Keeps what Xray writes from filling the disk. */
  rotateLogs(): Promise<void>
  /** Begins to look who is connected from where, and to be able to end it. To be called before Xray is started or adopted. */
  openCutting(isWanted: boolean, onSeen: (seen: SeenConnection) => void): Promise<Cutting>
  /** Removes what a kill has left of all this. */
  tidy(): Promise<void>
}

export interface RealXrayOptions {
  /** The Xray program, until another is chosen. */
  binary: string
  /** Folder of Xray's files; nothing else may use it. */
  dir: string
  /** Folder of programs that are installed. */
  installDir: string
  runtime: Runtime
  log: Log
  download?: Download | undefined
}

/** The Xray of a folder. */
export function realXray(options: RealXrayOptions): XrayParts {
  const { binary, dir, installDir, runtime, log, download = downloadByHttps } = options
  const paths = xrayPaths(dir)
  const { socket } = paths
  const tested = join(dir, 'tested')
  const geo = geoFolder(dir)
  const programs = createPrograms({ binary, folder: installDir, download })
  const program = (): XrayProgram => ({ binary: programs.current(), assets: geo.inUse() })

  const test: XrayParts['testConfig'] = async (config, other = {}) => {
    const { binary: tester, assets } = { ...program(), ...other }
    await testConfig(tester, config, assets)
  }

  return {
    process: createXrayProcess({ program, dir, runtime, log }),
    api: connectXrayApi(socket),
    programs,
    openInbound: (inbound) => addInbound(programs.current(), socket, inbound),
    isPortFree,
    findClosed,
    testConfig: test,
    version: () => xrayVersion(programs.current()),

    async runs(pid, path) {
      const [running, file] = await Promise.all(
        [`/proc/${pid}/exe`, path].map((name) => stat(name).catch(() => null)),
      )
      return running !== null && file !== null && running?.ino === file?.ino && running?.dev === file?.dev
    },

    async compile(parts) {
      await mkdir(tested, { recursive: true, mode: 0o700 })
      return compileParts(program(), join(tested, `${randomId(runtime, 64)}.pb`), parts)
    },

    fetchGeoFiles: (config) =>
      fetchGeoFiles({
        folder: geo.folder,
        download,
        config,
        test: (tested, assets) => test(tested, { assets }),
      }),

    geoFileHash: (name) => geoFileHash(geo.folder, name),

    async rotateLogs() {
      for (const file of [paths.log, paths.output]) await rotateLog(file, log)
    },

    async tidy() {
      // Parts of a configuration that were being compiled: they hold keys.
      await rm(tested, { recursive: true, force: true })
      await tidyGeoFiles(geo.folder)
      await programs.tidy()
    },

    openCutting: (isWanted, onSeen) => openCutting({ path: paths.access, isWanted, onSeen, runtime, log }),
  }
}

/** Where the geo files lie: where the environment says, else in a folder of our own, which is in use once both are there. */
function geoFolder(dir: string): { folder: string; inUse(): string | null } {
  const told = process.env['XRAY_LOCATION_ASSET']
  if (told !== undefined && told !== '') {
    // Whole, since Xray runs in a folder of its own.
    const named = resolve(told)
    return { folder: named, inUse: () => named }
  }
  const folder = join(dir, 'assets')
  const isThere = (): boolean => geoFileNames.every((name) => existsSync(join(folder, name)))
  return { folder, inUse: () => (isThere() ? folder : null) }
}
