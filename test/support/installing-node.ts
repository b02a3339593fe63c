/**
 * A process of its own that installs an Xray and ends by SIGKILL at the step it is told: what a kill then leaves is for
 * the test to see. `installing-node.ts <folder of the node> <folder of releases> <version> <step>`
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNode } from '#src/node/node.ts'
import { realXray } from '#src/node/engine/xray-parts.ts'
import { releases } from './xray-release.ts'
import { openTestStore, testNodeOptions } from './test-node.ts'

export type InstallStep = 'downloading' | 'fetched' | 'stopped' | 'started' | 'chosen' | 'rolling back'

const [dir = '', programs = '', version = '', wanted] = process.argv.slice(2)

function at(step: InstallStep): void {
  if (step === wanted) process.kill(process.pid, 'SIGKILL')
}

const db = openTestStore(dir)
const download = releases({ [version]: await readFile(join(programs, version)) })
const options = testNodeOptions(dir, db, {
  download: async (url) => {
    if (!url.endsWith('.dgst')) at('downloading')
    return download(url)
  },
})
const xray = realXray(options)
const { process: running, programs: kept } = xray
const real = { ...kept }
const really = { ...running }
let switched = 0
kept.fetch = async (one) => {
  await real.fetch(one)
  at('fetched')
}
kept.use = (binary) => {
  if (++switched === 2) at('rolling back')
  real.use(binary)
}
kept.current = () => {
  // Asked for next when the old one has ended and the new one is about to be started.
  if (switched === 1) at('stopped')
  return real.current()
}
running.restart = async (render) => {
  await really.restart(render)
  at('started')
}
kept.prune = async (needed) => {
  at('chosen')
  await real.prune(needed)
}
const node = createNode(options, xray)
await node.start()
await node.operations['system.installXray']({ version }, { idempotencyKey: 'installation' })
