import { fileURLToPath } from 'node:url'
import { findXray } from '#src/xray/binary.ts'
import { keepCompiled } from './compile-cache.ts'
import { findPebble } from './pebble-binary.ts'

/** Finds Xray and Pebble once for the whole run, since they may have to be fetched, and tells every test where they are. */
export default async function setup(): Promise<void> {
  const say = (_details: object, message: string): void => console.log(message)
  const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))
  process.env['NODE_COMPILE_CACHE'] = keepCompiled(cacheDir)
  process.env['XRAY_BIN'] = await findXray({
    env: process.env,
    cacheDir,
    log: { debug: () => undefined, info: say, warn: say, error: say },
  })
  try {
    process.env['PEBBLE_BIN'] = await findPebble(process.env, cacheDir)
  } catch (error) {
    // The tests that need it fail and say so; the others can do without it.
    console.error(error)
  }
}
