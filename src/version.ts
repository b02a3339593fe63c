import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where package.json, migrations/ and locales/ lie: beside src/ here, beside the bundle in a build. */
export function productFile(...parts: string[]): string {
  return join(import.meta.dirname, '..', ...parts)
}

/** This release's version. */
export function productVersion(): string {
  return (JSON.parse(readFileSync(productFile('package.json'), 'utf8')) as { version: string }).version
}

/** Whether this runs from the sources; shipped, it is one bundled program. */
export const runsFromSource = import.meta.filename.endsWith('.ts')

/** Where the Xrays lie that an admin installs, and one that is fetched. @param data the folder of this process's data */
export function xrayInstallDir(data: string): string {
  return join(data, 'xray-bin')
}

/**
 * Where a fetched Xray belongs: beside the sources, for all who start from them; shipped, in the data folder, since a
 * service may not write to its own program's, where an Xray may nevertheless have been put.
 * @param data the folder of this process's data
 */
export function xrayCacheDirs(data: string): string[] {
  const [product, own] = [productFile('.cache'), xrayInstallDir(data)]
  return runsFromSource ? [product, own] : [own, product]
}
