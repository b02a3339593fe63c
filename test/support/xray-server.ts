import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { plainRouting } from '#src/contract/index.ts'
import { makeKey, makeSelfSigned } from '#src/node/certificates/making.ts'
import { systemRuntime } from '#src/runtime.ts'
import type { XrayApi } from '#src/xray/api/api.ts'
import { connectXrayApi } from '#src/xray/api/api.ts'
import type { XrayAccount, XrayModel, XrayUser } from '#src/xray/config/model.ts'
import type { XrayProcess } from '#src/xray/life/process.ts'
import { fixedProgram } from '#src/xray/programs/program.ts'
import { createXrayProcess, xrayPaths } from '#src/xray/life/process.ts'
import { renderConfig } from '#src/xray/config/render.ts'
import { silentLog } from './silent-log.ts'
import { xrayBinary } from './xray-binary.ts'

type Inbound = XrayModel['inbounds'][number]

/** A VLESS client as Xray is told of it. */
export function vlessUser(email: string, id: string, flow = ''): XrayUser {
  return { email, account: { type: 'vless', id, flow } }
}

/** The id a VLESS or VMess client has in Xray. */
export function idOf({ account }: { account: XrayAccount | null }): string {
  if (account === null || !('id' in account)) throw new Error('this user has no id')
  return account.id
}

/** A VLESS inbound over raw without security, on loopback. */
export function plainInbound(tag: string, port: number, users: XrayUser[] = []): Inbound {
  return {
    tag,
    protocol: 'vless',
    settings: { fallbacks: [] },
    listen: '127.0.0.1',
    port,
    stream: { transport: { type: 'raw' }, security: { type: 'none' } },
    secrets: {},
    certificateFiles: null,
    sniffing: { enabled: true, destOverride: ['http', 'tls'] },
    users,
  }
}

/** A Hysteria 2 inbound on loopback, with a certificate of its own. */
export async function hysteriaInbound(tag: string, port: number, users: XrayUser[] = []): Promise<Inbound> {
  const certificateKey = await makeKey()
  const request = { domain: 'vpn.example', days: 1, key: certificateKey }
  const certificate = await makeSelfSigned(request, systemRuntime())
  return {
    ...plainInbound(tag, port, users),
    protocol: 'hysteria2',
    settings: {},
    secrets: { certificate, certificateKey },
    stream: {
      transport: { type: 'hysteria', obfuscated: false },
      security: {
        type: 'tls',
        serverName: 'vpn.example',
        certificate: { source: 'own' },
        alpn: [],
        fingerprint: 'chrome',
        pin: new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase(),
      },
    },
  }
}

export function xrayModel(dir: string, inbounds: Inbound[] = []): XrayModel {
  const { socket, logDir } = xrayPaths(dir)
  return {
    inbounds,
    routing: plainRouting,
    countsInbounds: true,
    apiSocket: socket,
    logDir,
    allowPrivateTargets: true,
  }
}

export interface XrayServer {
  dir: string
  socket: string
  process: XrayProcess
  api: XrayApi
  stop(): Promise<void>
}

/** A running Xray in a folder of its own. `change` may alter its configuration before it starts. */
export async function startXrayServer(
  inbounds: Inbound[] = [],
  change: (config: object) => object = (config) => config,
): Promise<XrayServer> {
  const dir = await mkdtemp(join(tmpdir(), 'xray-'))
  const xray = createXrayProcess({
    program: fixedProgram(xrayBinary()),
    dir,
    runtime: systemRuntime(),
    log: silentLog(),
  })
  await xray.start(() => change(renderConfig(xrayModel(dir, inbounds))))
  const { socket } = xrayPaths(dir)
  const api = connectXrayApi(socket)
  return {
    dir,
    socket,
    process: xray,
    api,
    async stop() {
      api.close()
      await xray.stop()
      await xray.detach()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
