import type { Runtime } from '#src/runtime.ts'
import { terminate } from './launch.ts'
import type { PidFile } from './pid-file.ts'
import { type ProcessIdentity, findByArguments } from './proc.ts'

/** The Xrays that were started with these arguments and live, whoever started them. There should be one at most. */
export function livingXrays(options: {
  args: readonly string[]
  pids: PidFile
  runtime: Pick<Runtime, 'monotonic' | 'sleep'>
}) {
  const { args, pids, runtime } = options

  /** As the pid file or, that lost or damaged, their arguments tell. */
  async function find(): Promise<ProcessIdentity[]> {
    const known = await pids.findLiving()
    const found = await findByArguments(args)
    return [...(known === null ? [] : [known]), ...found.filter(({ pid }) => pid !== known?.pid)]
  }

  return {
    find,
    async endAll(): Promise<void> {
      for (const identity of await find()) await terminate(identity, runtime)
    },
  }
}
