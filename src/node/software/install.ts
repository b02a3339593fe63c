/** Another version of Xray: fetched beside all else, tried out, and gone back from where it does not run. */
import type { OperationName, OperationOutput } from '#src/contract/index.ts'
import { FleetError, fail } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { CommandKind, Commands } from '../engine/commands.ts'
import type { Engine } from '../engine/engine.ts'
import type { NodeOperations } from '../operations.ts'
import type { createSettings } from '../rows/settings.ts'
import type { XrayParts } from '../engine/xray-parts.ts'

export interface InstallDeps {
  xray: XrayParts
  engine: Engine
  commands: Commands
  settings: ReturnType<typeof createSettings>
  runtime: Pick<Runtime, 'sleep'>
  log: Log
  /** XRAY_BIN names the program. */
  pinned: boolean
}

const operation = 'system.installXray' satisfies OperationName

/** ms. One that ends within this time of its start is not one to stay with. */
const TRIAL_MS = 2_000

export function createInstall(deps: InstallDeps) {
  const { xray, engine, commands, settings, runtime, log, pinned } = deps
  const { programs } = xray
  /** Of the present program; null where it is none. */
  let known: string | null = null

  /** What is kept of an installation beside its change. */
  interface Target {
    version: string
    /** The version before. */
    before: string | null
  }

  async function look(): Promise<void> {
    known = await xray.version().catch(() => null)
  }

  function choose({ version }: Target): void {
    settings.setXrayVersion(version)
    programs.use(programs.pathOf(version))
    known = version
  }

  /** Which Xray runs; null: none, or one that is not among those kept. */
  async function runningVersion(): Promise<string | null> {
    const { pid } = engine.state()
    if (pid === null) return null
    if (known !== null && (await xray.runs(pid, programs.current()))) return known
    for (const version of await programs.kept()) {
      if (await xray.runs(pid, programs.pathOf(version))) return version
    }
    return null
  }

  async function restartWith(binary: string): Promise<void> {
    programs.use(binary)
    await engine.restart()
    const { startedAt } = engine.state()
    await runtime.sleep(TRIAL_MS)
    const now = engine.state()
    if (now.startedAt !== startedAt) fail('XRAY_UNAVAILABLE', { reason: now.lastError ?? 'it ended' })
  }

  /** From the Xray that runs to another, or back. The choice is written down last: killed before, we come back with the old one. */
  async function change(target: Target): Promise<void> {
    const before = programs.current()
    const { startedAt } = engine.state()
    try {
      await restartWith(programs.pathOf(target.version))
    } catch (error) {
      programs.use(before)
      // Not even stopped: its file could not be written, say.
      if (startedAt !== null && engine.state().startedAt === startedAt) throw error
      log.warn({ error, ...target }, 'the new Xray does not run; the one before is started again')
      const reason =
        error instanceof FleetError ? String(error.details['reason'] ?? error.message) : String(error)
      await engine.restart().catch((again: unknown) => {
        log.error({ error: again }, 'the Xray before does not start either')
        fail('XRAY_UNAVAILABLE', { reason: `neither ${target.version} nor the one before starts: ${reason}` })
      })
      fail(
        'XRAY_ROLLED_BACK',
        { version: target.version, before: target.before ?? 'before', reason },
        { cause: error },
      )
    }
  }

  const kind: CommandKind = {
    async requireDone({ target }) {
      const wanted = target as Target
      const { pid } = engine.state()
      // Where Xray is stopped the choice is all there is to it.
      const isDone =
        settings.xrayVersion() === wanted.version ||
        (pid !== null && (await xray.runs(pid, programs.pathOf(wanted.version))))
      if (!isDone) fail('XRAY_UNAVAILABLE', { reason: 'fleetgram ended before this was done' })
      choose(wanted)
      const needed = [wanted.version, ...(wanted.before === null ? [] : [wanted.before])]
      // It only takes room.
      await programs.prune(needed).catch((error: unknown) => log.warn({ error }, 'an old Xray stays'))
    },
    answer({ target }): OperationOutput<typeof operation> {
      const { running, pid } = engine.state()
      return { ...(target as Target), running, pid }
    },
  }

  const operations: Pick<NodeOperations, typeof operation | 'xray.version' | 'xray.versions'> = {
    [operation]: ({ version }, call) =>
      commands.runPrepared(operation, { version }, call, async () => {
        if (pinned) fail('XRAY_PINNED', { binary: programs.current() })
        await look()
        const target: Target = { version, before: known }
        if (known !== null) await programs.keepCurrent(known)
        const isNew = !(await programs.kept()).includes(version)
        let isGood = false
        const end = async (): Promise<void> => {
          if (isNew && !isGood) await programs.remove(version)
        }
        try {
          await programs.fetch(version)
          await xray.testConfig(engine.config(true), { binary: programs.pathOf(version) })
        } catch (error) {
          await end()
          throw error
        }
        return {
          target,
          async effect() {
            if (!settings.isXrayStopped() && (await runningVersion()) !== version) await change(target)
            choose(target)
            isGood = true
          },
          end,
        }
      }),
    'xray.version': async () => ({ version: await xray.version() }),
    'xray.versions': async () => {
      const running = await runningVersion()
      const versions = new Set([
        ...(await programs.kept()),
        ...[running, known].filter((one) => one !== null),
      ])
      return {
        pinned,
        versions: [...versions].map((version) => ({
          version,
          running: version === running,
          chosen: version === known,
        })),
      }
    },
  }

  return {
    operations,
    kinds: { [operation]: kind },
    look,
    version: () => known,
  }
}
