/**
 * SIGKILL while a backup is put back, on the controller's own machine and on an agent. After each the killed process
 * starts again, and rows, Xray and what the controller shows are as they were or as they were to be, never in between;
 * the same request, sent again, has the outcome that was meant.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { RestoreReport } from '#src/contract/index.ts'
import type { FaultPoint } from '#src/faults.ts'
import { AGENT, LOCAL, type Scene, createScene, steady } from '#test/support/kill-scene.ts'
import { type Machine, type World, createWorld } from '#test/support/world.ts'

const worlds: World[] = []
afterAll(async () => {
  await Promise.all(worlds.map((world) => world.stop()))
}, 60_000)

/** Up to here nothing has happened; from here on everything has. */
const points: [FaultPoint, happened: boolean][] = [
  ['backup checked', false],
  ['result committed', true],
  ['hot-applied', true],
]

const person = (email: string, digit: number) => ({
  ...steady,
  email,
  uuid: steady.uuid.replace(/^./, String(digit)),
  subscriptionId: `subscription-of-${email}`,
})
const both = (input: unknown) => ({ [LOCAL]: input, [AGENT]: input })

/** The changes that putting the backup back undoes; deleting gone and adding newer it does not. */
async function changesSince(scene: Scene, server: number): Promise<void> {
  await scene.plain('clients.update', { [server]: { email: 'anna', enabled: false } })
  await scene.plain('inbounds.update', { [server]: { id: 'spare', enabled: false } })
}

function undone(scene: Scene, server: number): void {
  scene.expectDone(server, 'clients.update', { email: 'anna', enabled: true })
  scene.expectDone(server, 'inbounds.update', { id: 'spare', enabled: true })
}

const inbound = (tag: string, port: number) => ({
  tag,
  port,
  protocol: 'vless',
  stream: { transport: { type: 'raw' }, security: { type: 'none' } },
})

test(
  'a node killed while a backup is put back has the old state or the new',
  { timeout: 300_000 },
  async () => {
    const world = await createWorld({ healthIntervalSeconds: 1, faulty: true })
    worlds.push(world)
    const scene = await createScene(world)
    await scene.plain('inbounds.add', both(inbound('spare', 20_001)))
    await scene.plain('clients.add', both({ id: 'spare', clients: [person('anna', 1), person('gone', 2)] }))
    const files = new Map<number, string>()
    for (const server of [LOCAL, AGENT]) {
      const file = join(world.controller.dir, `${server}.backup`)
      await scene.ask(world.controller, { do: 'backup', server, file })
      files.set(server, file)
    }
    await scene.plain('clients.delete', both({ email: 'gone' }))
    await scene.plain('clients.add', both({ id: 'main', clients: [person('newer', 3)] }))
    const xrays = await scene.xrays()

    async function killedAt(point: FaultPoint, happened: boolean, server: number, victim: Machine) {
      await changesSince(scene, server)
      const request = { do: 'restore', server, file: files.get(server) ?? '', id: randomUUID() } as const
      await scene.ask(victim, { do: 'killAt', point, operation: 'backups.restore' })
      const first = scene.ask(world.controller, request).catch(() => undefined)
      await victim.program.ends(20_000)
      await first
      victim.program.start()
      await victim.program.says(
        victim === world.controller ? /fleetgram is ready/ : /the agent is ready/,
        60_000,
      )
      if (happened) undone(scene, server)
      await scene.agrees()
      const folder = join(victim.dir, 'xray', 'backups')
      expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([])

      let report: RestoreReport | undefined
      await scene.until('the request is heard', async () => {
        const answer = await scene.ask<RestoreReport | { error: string }>(world.controller, request)
        if (!('error' in answer)) report = answer
        return report !== undefined
      })
      if (!happened) undone(scene, server)
      await scene.agrees()
      expect(report).toMatchObject({
        inbounds: { restored: 1, unchanged: 1 },
        clients: {
          restored: 1,
          unchanged: 1,
          deleted: 1,
          kept: 1,
          names: { deleted: ['gone'], kept: ['newer'] },
        },
      })
    }

    for (const [point, happened] of points) {
      await killedAt(point, happened, LOCAL, world.controller)
      await killedAt(point, happened, AGENT, scene.agent)
    }
    await killedAt('answered', true, AGENT, scene.agent)
    expect(await scene.xrays()).toEqual(xrays)
  },
)
