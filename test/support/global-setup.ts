import { fileURLToPath } from 'node:url'
import { findXray } from '#src/xray/programs/binary.ts'
import { findPebble } from './pebble-binary.ts'
import { makePrograms } from './programs.ts'

/** Makes what tests start, and finds Xray and Pebble, which may have to be fetched: once for the whole run. */
export default async function setup(): Promise<() => void> {
  const say = (_details: object, message: string): void => console.log(message)
  const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))
  const programs = await makePrograms()
  Object.assign(process.env, programs.env)
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
  return programs.remove
}
