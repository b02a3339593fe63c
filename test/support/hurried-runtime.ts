import { type Runtime, systemRuntime } from '#src/runtime.ts'

/** The real world on a clock that runs `haste` times as fast: every timeout and back-off is the real one, only sooner. */
export function hurriedRuntime(haste: number): Runtime {
  const real = systemRuntime()
  const begun = real.now()
  return {
    ...real,
    monotonic: () => real.monotonic() * haste,
    now: () => begun + (real.now() - begun) * haste,
    sleep: (ms, signal) => real.sleep(ms / haste, signal),
    alarm: (ms, ring) => real.alarm(ms / haste, ring),
  }
}
