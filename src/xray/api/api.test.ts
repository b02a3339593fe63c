import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { xrayBinary } from '#test/support/xray-binary.ts'
import { freePort } from '#test/support/xray-client.ts'
import type { XrayServer } from '#test/support/xray-server.ts'
import { plainInbound, startXrayServer, vlessUser, xrayModel } from '#test/support/xray-server.ts'
import { addInbound } from './add-inbound.ts'
import { connectXrayApi } from './api.ts'
import { renderInbound } from '../config/render-inbound.ts'
import { renderConfig } from '../config/render.ts'

const ann = vlessUser('Ann', '66ad4540-b58c-4ad2-9926-ea63445a9b57')
const otherId = '11111111-2222-4333-8444-555555555555'

describe('the API of a running Xray', () => {
  let xray: XrayServer

  beforeAll(async () => {
    xray = await startXrayServer([plainInbound('main', await freePort())])
  })
  afterAll(() => xray.stop())

  const add = async (tag: string, port: number): Promise<void> => {
    const { users, ...inbound } = plainInbound(tag, port)
    await addInbound(xrayBinary(), xray.socket, renderInbound(inbound, users))
  }

  it('adds a user once, whatever the case of the name', async () => {
    expect(await xray.api.addUser('main', ann)).toBe('applied')
    expect(await xray.api.addUser('main', ann)).toBe('unchanged')
    expect(await xray.api.addUser('main', vlessUser('ANN', otherId))).toBe('unchanged')
    expect(await xray.api.users('main')).toEqual([ann])
    expect(await xray.api.removeUser('main', 'ann')).toBe('applied')
    expect(await xray.api.removeUser('main', 'ann')).toBe('unchanged')
    expect(await xray.api.users('main')).toEqual([])
  })

  it('replaces the credentials of a user when asked to', async () => {
    await xray.api.addUser('main', ann)
    const renewed = vlessUser('ann', otherId)
    expect(await xray.api.addUser('main', ann, { replace: true })).toBe('unchanged')
    expect(await xray.api.addUser('main', renewed, { replace: true })).toBe('applied')
    expect(await xray.api.users('main')).toEqual([renewed])
    await xray.api.removeUser('main', 'ann')
  })

  it('keeps names in any script', async () => {
    const user = vlessUser('مینا 🌿 Ünï', otherId)
    await xray.api.addUser('main', user)
    expect(await xray.api.users('main')).toEqual([user])
    expect(await xray.api.removeUser('main', user.email)).toBe('applied')
  })

  it('refuses a user without a name, which Xray could never remove', async () => {
    await expect(xray.api.addUser('main', { ...ann, email: '' })).rejects.toMatchObject({ code: 'BAD_INPUT' })
  })

  it('adds many at once, and reports the first failure', async () => {
    const many = Array.from({ length: 500 }, (_, index) =>
      vlessUser(`user-${index}`, `66ad4540-b58c-4ad2-9926-${String(index).padStart(12, '0')}`),
    )
    expect(await xray.api.addUsers('main', many)).toEqual(many.map(() => 'applied'))
    expect(await xray.api.users('main')).toHaveLength(500)
    await expect(
      xray.api.addUsers('main', [...many, vlessUser('Ann', 'not a uuid, and too long to become one')]),
    ).rejects.toMatchObject({ code: 'XRAY_REFUSED' })
    await Promise.all(many.map(({ email }) => xray.api.removeUser('main', email)))
    expect(await xray.api.users('main')).toEqual([])
  })

  it('names an unknown inbound as such', async () => {
    const missing = { code: 'INBOUND_NOT_FOUND', details: { inbound: 'nowhere' } }
    await expect(xray.api.addUser('nowhere', ann)).rejects.toMatchObject(missing)
    await expect(xray.api.removeUser('nowhere', 'ann')).rejects.toMatchObject(missing)
    await expect(xray.api.users('nowhere')).rejects.toMatchObject(missing)
    expect(await xray.api.removeInbound('nowhere')).toBe('unchanged')
  })

  it('opens and closes an inbound without a restart', async () => {
    const life = xray.process.state().startedAt
    const port = await freePort()
    await add('extra', port)
    expect(await xray.api.inboundTags()).toContain('extra')
    await expect(add('extra', await freePort())).rejects.toMatchObject({ code: 'INBOUND_TAG_TAKEN' })
    expect(await xray.api.inboundTags()).toContain('extra')
    expect(await xray.api.removeInbound('extra')).toBe('applied')
    expect(await xray.api.inboundTags()).not.toContain('extra')
    expect(xray.process.state().startedAt).toBe(life)
  })

  it('leaves no tag behind when the port is taken, so that a second try works', async () => {
    const squatter = createServer()
    const port = await new Promise<number>((resolve) => {
      squatter.listen(0, '127.0.0.1', () => {
        const address = squatter.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
    await expect(add('late', port)).rejects.toMatchObject({ code: 'PORT_TAKEN', details: { port } })
    expect(await xray.api.inboundTags()).not.toContain('late')
    await new Promise((resolve) => squatter.close(resolve))
    await add('late', port)
    expect(await xray.api.inboundTags()).toContain('late')
    await xray.api.removeInbound('late')
  })

  it('says why Xray refuses an inbound', async () => {
    await expect(
      addInbound(xrayBinary(), xray.socket, { tag: 'odd', port: 1, protocol: 'no-such-protocol' }),
    ).rejects.toMatchObject({ code: 'XRAY_REFUSED', message: expect.stringContaining('no-such-protocol') })
    expect(await xray.api.inboundTags()).not.toContain('odd')
  })

  it('tells how long Xray runs', async () => {
    expect(await xray.api.uptime()).toBeGreaterThanOrEqual(0)
  })
})

describe('an Xray that is not there', () => {
  it('is unavailable, whatever is asked of it', async () => {
    const api = connectXrayApi('/nonexistent/api.sock')
    const unavailable = { code: 'XRAY_UNAVAILABLE', retryable: true }
    await expect(api.counters()).rejects.toMatchObject(unavailable)
    await expect(api.addUser('main', ann)).rejects.toMatchObject(unavailable)
    await expect(api.removeUser('main', 'ann')).rejects.toMatchObject(unavailable)
    await expect(api.removeInbound('main')).rejects.toMatchObject(unavailable)
    await expect(api.online()).rejects.toMatchObject(unavailable)
    api.close()
    const json = { tag: 'a', port: 1 }
    await expect(addInbound(xrayBinary(), '/nonexistent/api.sock', json)).rejects.toMatchObject(unavailable)
  })

  it('is found again by the same connection when it comes back', async () => {
    const xray = await startXrayServer()
    try {
      expect(await xray.api.inboundTags()).toEqual(['api'])
      await xray.process.stop()
      await expect(xray.api.inboundTags()).rejects.toMatchObject({ code: 'XRAY_UNAVAILABLE' })
      await xray.process.start(() => renderConfig(xrayModel(xray.dir)))
      await expect.poll(() => xray.api.inboundTags().catch(() => []), { timeout: 10_000 }).toEqual(['api'])
    } finally {
      await xray.stop()
    }
  })
})
