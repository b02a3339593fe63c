/** What a real Xray does with the files: served at once, and after a renewal without a restart. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemRuntime } from '#src/runtime.ts'
import { addInbound } from '#src/xray/api/add-inbound.ts'
import { type XrayApi, connectXrayApi } from '#src/xray/api/api.ts'
import { certificateFiles } from '#src/xray/config/certificate-files.ts'
import { createXrayProcess, xrayPaths } from '#src/xray/life/process.ts'
import type { XrayProcess } from '#src/xray/life/process-types.ts'
import { type RenderedInbound, renderInbound } from '#src/xray/config/render-inbound.ts'
import { renderConfig } from '#src/xray/config/render.ts'
import { type CertificateDesk, newKey, openCertificateDesk } from '#test/support/certificate-desk.ts'
import { type Pebble, startPebble } from '#test/support/pebble.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort } from '#test/support/xray-client.ts'
import { plainInbound, xrayModel } from '#test/support/xray-server.ts'

const domain = 'tls.example.org'
/** s. In 26.3.27 the interval of OCSP is also that at which Xray looks at its files; an hour unless told. */
const LOOK_EVERY = 1

let pebble: Pebble
let desk: CertificateDesk
let dir: string
let xray: XrayProcess
let api: XrayApi
let port: number

beforeAll(async () => {
  pebble = await startPebble()
})
afterAll(() => pebble.remove())

/** A VLESS inbound whose TLS is that of the certificate. */
function tlsInbound(lookEvery: number): RenderedInbound {
  const files = certificateFiles(dir, domain)
  const certificates = [{ ...files, ...(lookEvery === 0 ? {} : { ocspStapling: lookEvery }) }]
  return {
    ...renderInbound(plainInbound('tls', port), []),
    streamSettings: { network: 'raw', security: 'tls', tlsSettings: { certificates } },
  }
}

async function startXray(lookEvery: number): Promise<void> {
  const config = renderConfig(xrayModel(dir)) as { inbounds: object[] }
  await xray.start(() => ({ ...config, inbounds: [...config.inbounds, tlsInbound(lookEvery)] }))
  api = connectXrayApi(xrayPaths(dir).socket)
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'xray-tls-'))
  port = await freePort()
  xray = createXrayProcess({
    program: () => ({ binary: xrayBinary(), assets: null }),
    dir,
    runtime: systemRuntime(),
    log: silentLog(),
  })
  desk = await openCertificateDesk({
    dir,
    acme: pebble.settings,
    usedBy: (name) => (name === domain ? [{ id: 1, tag: 'tls' }] : []),
    // As the node does it.
    async reopen() {
      if (!xray.state().running) return
      await api.removeInbound('tls')
      await addInbound(xrayBinary(), xrayPaths(dir).socket, tlsInbound(0))
    },
  })
})
afterEach(async () => {
  await desk.close()
  api.close()
  await xray.stop()
  await xray.detach()
  await rm(dir, { recursive: true, force: true })
})

/** SHA-256 of the certificate that is shown to who comes now, checked against the authority's root. */
async function shown(): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, servername: domain, ca: await pebble.root() })
  try {
    await once(socket, 'secureConnect')
    return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase()
  } finally {
    socket.destroy()
  }
}

const order = () => desk.operations['certificates.generate']({ domain, method: 'http-01' }, newKey())
const renew = () => desk.operations['certificates.renew']({ domain }, newKey())

describe('Xray', () => {
  it('comes across a renewed certificate by itself, and goes on as it is', async () => {
    const first = await order()
    await startXray(LOOK_EVERY)
    const { pid } = xray.state()
    expect(await shown()).toBe(first.sha256)

    const second = await renew()
    const begun = Date.now()
    await expect.poll(shown, { timeout: 10_000, interval: 20 }).toBe(second.sha256)
    console.log(`Xray, looking every ${LOOK_EVERY} s, showed it after ${Date.now() - begun} ms`)
    expect(xray.state()).toMatchObject({ running: true, pid })
    // A renewal keeps the key, and with time left the inbound was not touched.
    expect(desk.reopened).toHaveLength(1)
  })

  it('shows one with another key at once, since the inbound is opened anew', async () => {
    const first = await order()
    await startXray(0)
    const { pid } = xray.state()
    expect(await shown()).toBe(first.sha256)
    const open = connect({ host: '127.0.0.1', port, servername: domain, ca: await pebble.root() })
    await once(open, 'secureConnect')

    const second = await order()
    expect(await shown()).toBe(second.sha256)
    expect(xray.state()).toMatchObject({ running: true, pid })
    // Whoever was connected still is.
    expect(open.destroyed).toBe(false)
    expect(open.writable).toBe(true)
    open.destroy()
  })
})
