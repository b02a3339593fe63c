/**
 * How Xray is started with the best that can be had: the configuration as it should be, else the one on the disk, else
 * the one before; each without the inbounds whose ports another program has.
 */
import { FleetError } from '#src/errors.ts'
import type { Log } from '#src/log.ts'
import type { ConfigFile } from './config-file.ts'
import { type HeldBack, findClosed, findRefused, withoutHeldBack } from './held-back.ts'
import type { Running } from './launch.ts'

export interface StartOptions {
  config: ConfigFile
  /** null: the file is taken as it is. */
  render: (() => object) | null
  /** Runs Xray with the file. @throws like `launch` */
  launch: () => Promise<Running>
  log: Log
}

export interface Started {
  running: Running
  heldBack: HeldBack[]
  /** Why it does not run the configuration it should; null: it does. */
  failure: unknown
}

/** @throws why none of the configurations there are could be started */
export async function startBest({ config, render, launch, log }: StartOptions): Promise<Started> {
  const failure = await bringUpToDate(config, render)
  if (failure !== null)
    log.error({ error: failure }, 'the configuration of Xray cannot be written; the one on disk is started')
  let refusal: unknown
  const wanted = await config.read()
  if (wanted !== null) {
    try {
      return { ...(await startOpen(wanted, { config, launch, log })), failure }
    } catch (error) {
      // What is no Xray, or cannot be run at all, has no say on a configuration.
      if (!(isRefusal(error) || isHanging(error))) throw failure ?? error
      refusal = error
    }
  }
  const reason = failure ?? refusal ?? noConfiguration()
  const previous = (await config.restorePrevious()) ? await config.read() : null
  if (previous === null) throw reason
  log.warn({ error: reason }, 'the configuration of Xray cannot be used; the one before is started')
  try {
    return { ...(await startOpen(previous, { config, launch, log })), failure: reason }
  } catch (again) {
    log.warn({ error: again }, 'Xray does not start with that one either')
    throw reason
  }
}

async function bringUpToDate(config: ConfigFile, render: StartOptions['render']): Promise<unknown> {
  if (render === null) return null
  try {
    await config.write(render())
    return null
  } catch (error) {
    return error
  }
}

/** Starts what is in the file, less the inbounds that cannot be opened. */
async function startOpen(
  wanted: object,
  { config, launch, log }: Omit<StartOptions, 'render'>,
): Promise<Pick<Started, 'running' | 'heldBack'>> {
  const heldBack = await findClosed(wanted)
  for (;;) {
    if (heldBack.length > 0) {
      log.warn({ heldBack }, 'Xray is started without inbounds whose ports cannot be had')
      await config.replace(withoutHeldBack(wanted, heldBack))
    }
    try {
      return { running: await launch(), heldBack }
    } catch (error) {
      const known = new Set(heldBack.map(({ tag }) => tag))
      const more = isRefusal(error)
        ? findRefused(String(error.details['reason']), wanted).filter(({ tag }) => !known.has(tag))
        : []
      if (more.length === 0) throw error
      heldBack.push(...more)
    }
  }
}

function isRefusal(error: unknown): error is FleetError {
  return error instanceof FleetError && error.code === 'XRAY_REFUSED'
}

function isHanging(error: unknown): boolean {
  return error instanceof FleetError && error.code === 'XRAY_UNAVAILABLE'
}

function noConfiguration(): FleetError {
  return new FleetError('XRAY_UNAVAILABLE', { reason: 'it has no configuration yet' })
}
