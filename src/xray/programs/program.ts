import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { fail } from '#src/errors.ts'
import { lastMeaningfulLine, runXray } from './command.ts'

/** What is run as Xray. */
export interface XrayProgram {
  binary: string
  /** The folder of its geo files; null: Xray looks for them where it always does. */
  assets: string | null
}

/** For whoever runs one Xray and no other. */
export function fixedProgram(binary: string): () => XrayProgram {
  return () => ({ binary, assets: null })
}

/** The version a binary says it is, like `26.3.27`. @throws XRAY_NOT_FOUND when it is no Xray */
export async function xrayVersion(binary: string): Promise<string> {
  const { exitCode, output } = await runXray(binary, ['version'])
  const version = exitCode === 0 ? /^Xray (\S+)/m.exec(output)?.[1] : undefined
  return version ?? fail('XRAY_NOT_FOUND', { reason: `${binary} is no Xray: ${lastMeaningfulLine(output)}` })
}

export async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
