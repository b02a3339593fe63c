import { afterEach } from 'vitest'

/** Keeps what a test opens, and closes it after the test, the last first. To be called at the top of a file. */
export function closesAfterEach(): <T extends { close(): unknown }>(one: T) => T {
  const open: { close(): unknown }[] = []
  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await one.close()
  })
  return (one) => {
    open.push(one)
    return one
  }
}
