import { readFile, rm } from 'node:fs/promises'
import { fail } from '#src/errors.ts'
import { lastMeaningfulLine, runXray } from '../programs/command.ts'
import { coreConfig, type OutboundMessage, type TypedMessage, typeNames } from './messages.ts'
import type { XrayProgram } from '../programs/program.ts'

/** Ways out and rules as Xray's API takes them. */
export interface CompiledParts {
  outbounds: OutboundMessage[]
  routing: TypedMessage
}

/**
 * Turns ways out and rules into Xray's own messages, which only Xray itself can do; what `geosite:` and `geoip:` name
 * is read now, from the files a start of this program reads. Nothing is changed, so what it refuses is refused in time.
 * @param file a path of its own, in a folder nobody else may read: what is written to it holds credentials
 * @throws XRAY_REFUSED with Xray's reason
 */
export async function compileParts(
  { binary, assets }: XrayProgram,
  file: string,
  parts: { outbounds: object[]; routing: object },
): Promise<CompiledParts> {
  try {
    const { exitCode, output } = await runXray(binary, ['convert', 'pb', '-o', file, 'stdin:'], {
      input: JSON.stringify(parts),
      assets,
    })
    if (exitCode !== 0) fail('XRAY_REFUSED', { reason: lastMeaningfulLine(output) })
    const { outbound, app } = coreConfig.decode(await readFile(file))
    const routing = app.find(({ type }) => type === typeNames.routing)
    if (routing === undefined) fail('XRAY_REFUSED', { reason: 'it gave no rules' })
    return { outbounds: outbound, routing }
  } finally {
    await rm(file, { force: true })
  }
}
