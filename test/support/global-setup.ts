import { fileURLToPath } from 'node:url'
import { findXray } from '#src/xray/binary.ts'

/** Finds Xray once for the whole run, since it may have to be fetched, and tells every test by XRAY_BIN. */
export default async function setup(): Promise<void> {
  const say = (_details: object, message: string): void => console.log(message)
  process.env['XRAY_BIN'] = await findXray({
    env: process.env,
    cacheDir: fileURLToPath(new URL('../../.cache', import.meta.url)),
    log: { debug: () => undefined, info: say, warn: say, error: say },
  })
}
