import { createLocalConnector } from '#src/connectors/local.ts'
import type { ServerConnector } from '#src/contract/index.ts'
import { FleetError } from '#src/errors.ts'
import type { FaultPoint } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import { createNode } from '#src/node/node.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import type { FakeXray } from './fake-xray.ts'

/** One run of a node's program. */
export interface FaultyProcess {
  local: ServerConnector
  /** Rejects when it is killed. */
  killed: Promise<never>
  die(): void
  begin(): Promise<void>
}

export const unreachable = (): FleetError =>
  new FleetError('SERVER_UNREACHABLE', { reason: 'connection refused' })

const never = (): Promise<never> => new Promise(() => undefined)

/** Xray as a process has it in hand while it lives: what it asks when it is dead is never answered, nor done. */
function mortal(parts: FakeXray['parts'], isDead: () => boolean): FakeXray['parts'] {
  const held = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(of, name) {
        const value: unknown = Reflect.get(of, name)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          const isAsked = !['state', 'setRender', 'close'].includes(String(name))
          return isAsked && isDead() ? never() : (value as (...given: unknown[]) => unknown)(...args)
        }
      },
    })
  return held({ ...parts, api: held(parts.api), process: held(parts.process) })
}

export function createFaultyProcess(deps: {
  db: Sqlite
  box: SecretBox
  runtime: Runtime
  log: Log
  name: string
  xray: FakeXray
  /** @returns whether the process ends here */
  endsAt(point: FaultPoint): boolean
}): FaultyProcess {
  const { db, box, runtime, log, xray } = deps
  let dead = false
  let die: () => void = () => undefined
  const killed = new Promise<never>((_, reject) => {
    die = () => {
      dead = true
      reject(unreachable())
    }
  })
  killed.catch(() => undefined)
  const node = createNode(
    {
      db,
      box,
      runtime: {
        ...runtime,
        // A dead process hears no timer.
        sleep: async (ms, signal) => {
          await runtime.sleep(ms, signal)
          if (dead) await never()
        },
      },
      // It speaks of Xray failing, which is what the test does.
      log: { ...log, error: () => undefined },
      binary: 'xray',
      dir: '/nowhere',
      installDir: '/nowhere',
      version: '0',
      migrations: [],
      publicAddress: `${deps.name}.example`,
      allowPrivateTargets: true,
      faults: {
        at: async (point) => {
          if (dead || deps.endsAt(point)) await never()
        },
      },
    },
    mortal(xray.parts, () => dead),
  )
  return {
    local: createLocalConnector(node.operations, {
      // What a dead process still has in memory may find its database closed, and says so to nobody.
      log: { ...log, error: (...said) => (dead ? undefined : log.error(...said)) },
      runtime,
    }),
    killed,
    die,
    begin: () => node.start(),
  }
}
