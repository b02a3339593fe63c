import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type InboundInput, inboundInput } from '#src/contract/index.ts'
import { systemRuntime } from '#src/runtime.ts'
import { shareLink } from '#src/xray/config/links.ts'
import { freePort } from '#test/support/client-process.ts'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { startWebTarget, startXrayClient } from '#test/support/xray-client.ts'
import { startXrayServer, vlessUser } from '#test/support/xray-server.ts'
import { makeKey, makeSelfSigned } from './certificates/making.ts'
import { createPrepareInbound } from './prepare-inbound.ts'
import type { InboundRecord } from './rows/records.ts'

const prepare = createPrepareInbound(systemRuntime(), () => undefined)

const asked = (protocol: string, stream?: object, settings?: object): InboundInput =>
  inboundInput.parse({ tag: 'a', port: 443, protocol, stream, settings })
const raw = { type: 'raw' }
const tls = (more: object = {}) => ({ type: 'tls', serverName: 'vpn.example', ...more })

/** As a row of it would be. */
async function made(input: InboundInput, before?: InboundRecord): Promise<InboundRecord> {
  return { ...input, ...(await prepare(input, before)) } as unknown as InboundRecord
}

describe('what only its server makes of an inbound', () => {
  test.each([
    ['wireguard', asked('wireguard'), asked('wireguard', undefined, { mtu: 1_300 })],
    ['shadowsocks 2022', asked('shadowsocks'), asked('shadowsocks', undefined, { network: 'tcp' })],
    [
      'mKCP',
      asked('vless', { transport: { type: 'mkcp' }, security: { type: 'none' } }),
      asked('vless', { transport: { type: 'mkcp', mtu: 1_000 }, security: { type: 'none' } }),
    ],
    [
      'a certificate of its own',
      asked('vless', { transport: raw, security: tls() }),
      asked('vless', { transport: { type: 'grpc', serviceName: 'x' }, security: tls({ alpn: ['h2'] }) }),
    ],
    [
      'REALITY',
      asked('vless', {
        transport: raw,
        security: { type: 'reality', target: 'a.example:443', serverNames: ['a.example'], shortIds: [''] },
      }),
      asked('vless', {
        transport: raw,
        security: { type: 'reality', target: 'b.example:443', serverNames: ['b.example'], shortIds: ['ab'] },
      }),
    ],
    ['SOCKS', asked('mixed'), asked('mixed', undefined, { udp: false })],
  ])('%s: made once, and kept when something else is changed', async (_, first, then) => {
    const before = await made(first)
    expect(Object.keys(before.secrets).length).toBeGreaterThan(0)
    const after = await made(then, before)
    expect(after.secrets).toEqual(before.secrets)
    const other = await made(first)
    for (const [name, secret] of Object.entries(before.secrets)) {
      expect(other.secrets[name as keyof typeof other.secrets], name).not.toBe(secret)
    }
  })

  test('a key that no longer fits is made anew, and what is no longer needed goes', async () => {
    const small = await made(asked('shadowsocks'))
    const large = await made(asked('shadowsocks', undefined, { method: '2022-blake3-aes-256-gcm' }), small)
    expect(Buffer.from(large.secrets.shadowsocksKey ?? '', 'base64')).toHaveLength(32)

    const own = await made(asked('vless', { transport: raw, security: tls() }))
    const renamed = await made(
      asked('vless', { transport: raw, security: tls({ serverName: 'other.example' }) }),
      own,
    )
    expect(renamed.secrets.certificate).not.toBe(own.secrets.certificate)
    const plain = await made(asked('vless', { transport: raw, security: { type: 'none' } }), own)
    expect(plain.secrets).toEqual({})
  })

  test('a certificate that the server does not hold is refused', async () => {
    const stored = tls({ certificate: { source: 'store', domain: 'vpn.example' } })
    await expect(made(asked('vless', { transport: raw, security: stored }))).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_FOUND',
      details: { domain: 'vpn.example' },
    })
  })

  test('one that it holds is taken from its files, and pinned where no authority knows it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'certificates-'))
    const web = await startWebTarget()
    const key = await makeKey()
    const certificate = await makeSelfSigned({ domain: 'vpn.example', days: 1, key }, systemRuntime())
    const sha256 = new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase()
    const files = { certificateFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') }
    await writeFile(files.certificateFile, certificate)
    await writeFile(files.keyFile, key)
    const holding = createPrepareInbound(systemRuntime(), () => sha256)
    const stored = tls({ certificate: { source: 'store', domain: 'vpn.example' } })
    const input = asked('vless', { transport: raw, security: stored })
    const row = { ...input, ...(await holding(input)), port: await freePort() }
    expect(row.secrets).toEqual({})
    const uuid = '66ad4540-b58c-4ad2-9926-ea63445a9b57'
    const person = { id: 2, email: 'ann', uuid, password: uuid, flow: 'xtls-rprx-vision' }
    const link = shareLink({ inbound: { ...row, id: 1 }, client: person, host: '127.0.0.1' }) ?? ''
    expect(link).toContain(`pcs=${sha256}`)
    const users = [vlessUser('ann', uuid, 'xtls-rprx-vision')]
    const xray = await startXrayServer([{ ...row, listen: '127.0.0.1', certificateFiles: files, users }])
    const app = await startXrayClient({ binary: xrayBinary(), link })
    try {
      expect((await app.get(web.pageUrl)).body).toBe(web.pageText)
    } finally {
      await app.stop()
      await xray.stop()
      await web.stop()
      await rm(dir, { recursive: true, force: true })
    }
  })
})
