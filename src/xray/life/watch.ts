import type { Runtime } from '#src/runtime.ts'
import type { ExitStatus, Running } from './launch.ts'
import { type ProcessIdentity, isStillRunning } from './proc.ts'

/** An adopted Xray is no child of ours, so nobody tells us of its end. Looking costs one read of a small file. */
const watchEveryMs = 500
const lookEveryMs = 20

/** An Xray that has ended by itself. */
export interface Ended {
  identity: ProcessIdentity
  /** null: it was no child of ours. */
  status: ExitStatus | null
  /** How long it was watched, ms. */
  lived: number
}

/** Knows the Xray that runs, and notices its end. */
export function createWatch(options: {
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>
  onEnd: (ended: Ended) => Promise<void>
}) {
  const { runtime, onEnd } = options
  let current: (Running & { since: number; timer: NodeJS.Timeout | null }) | null = null
  let telling: Promise<void> = Promise.resolve()

  function letGo(): void {
    if (current !== null && current.timer !== null) clearInterval(current.timer)
    current = null
  }

  function noteEnd(identity: ProcessIdentity, status: ExitStatus | null): Promise<void> {
    if (current?.identity === identity) {
      const lived = runtime.monotonic() - current.since
      letGo()
      telling = onEnd({ identity, status, lived })
    }
    return telling
  }

  /** Looks at once, and as long as this, ms, whether it has ended: that is told a little later than it happens. */
  async function look(patience: number): Promise<void> {
    if (current === null) return telling
    const { identity, exited } = current
    const giveUpAt = runtime.monotonic() + patience
    while (await isStillRunning(identity)) {
      if (runtime.monotonic() >= giveUpAt) return
      await runtime.sleep(lookEveryMs)
    }
    await noteEnd(identity, await exited)
  }

  return {
    /** null: none runs, or it was let go of. */
    current: (): ProcessIdentity | null => current?.identity ?? null,
    over({ identity, exited }: Running): void {
      void exited?.then((status) => noteEnd(identity, status))
      const timer = exited === null ? setInterval(() => void look(0), watchEveryMs) : null
      timer?.unref()
      current = { identity, exited, since: runtime.monotonic(), timer }
    },
    letGo,
    look,
  }
}
