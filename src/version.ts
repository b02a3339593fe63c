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
