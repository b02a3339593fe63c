/** Waits before a restart, in ms: quick at first, since people wait; at most 30 s, so that it heals on its own. */
const backOffMs = [1_000, 2_000, 5_000, 10_000, 30_000] as const

/** How long to wait before Xray is started again, ms. */
export function delayAfter(crashes: number): number {
  return backOffMs[Math.min(crashes, backOffMs.length - 1)] ?? backOffMs[0]
}
