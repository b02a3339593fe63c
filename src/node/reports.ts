/** What a node says of itself and its machine. Nothing here changes anything. */
import os from 'node:os'
import { dirname } from 'node:path'
import type { OperationName } from '#src/contract/index.ts'
import type { Runtime } from '#src/runtime.ts'
import { oldLog } from '#src/xray/life/log-rotation.ts'
import { type XrayProcess, xrayPaths } from '#src/xray/life/process.ts'
import { lastLines } from './logs/log-lines.ts'
import { createLogTails } from './logs/log-tail.ts'
import { createMachine, osName } from './machine/machine.ts'
import type { NodeOperations } from './operations.ts'
import type { PositionStore } from './rows/position.ts'

export interface ReportDeps {
  process: Pick<XrayProcess, 'state'>
  /** Of the Xray that is run; null where the program is none. */
  xrayVersion: () => string | null
  /** How Xray is, and why it is not as it should be. */
  state: () => { running: boolean; lastError: string | null }
  position: PositionStore
  /** The machine's own clock: what is told of time is compared with others. */
  runtime: Runtime
  /** Xray's folder. */
  dir: string
  /** This product's version. */
  version: string
  publicAddress: string | undefined
}

type ReportOperations = Pick<
  NodeOperations,
  Extract<OperationName, 'server.health' | 'server.info' | `system.${'stats' | 'logs' | 'tail'}`>
>

export function createReports(deps: ReportDeps) {
  const { process, position, runtime, dir, version, publicAddress } = deps
  const paths = xrayPaths(dir)
  const tails = createLogTails({ runtime })
  const machine = createMachine({
    dir: dirname(dir),
    runtime,
    publicAddress,
    xray: () => {
      const { pid, startedAt } = process.state()
      return pid === null || startedAt === null ? null : { pid, startedAt }
    },
  })

  const logFile = (source: 'xray' | 'output'): string => (source === 'xray' ? paths.log : paths.output)

  const operations: ReportOperations = {
    'server.health': async () => {
      const { running, lastError } = deps.state()
      return {
        status: running && lastError === null ? 'online' : 'error',
        xrayRunning: running,
        agentVersion: version,
        xrayVersion: deps.xrayVersion(),
        lastError,
        ...position.read(),
        time: runtime.now(),
      }
    },
    'server.info': async () => ({
      hostname: os.hostname(),
      agentVersion: version,
      xrayVersion: deps.xrayVersion(),
      os: await osName(),
      arch: os.arch(),
      kernel: os.release(),
      uptime: os.uptime(),
      epoch: position.read().epoch,
    }),
    'system.stats': () => machine.stats(),
    'system.logs': ({ source, ...wanted }) => {
      const file = logFile(source)
      return lastLines([file, oldLog(file)], wanted)
    },
    'system.tail': async ({ source, ...request }, _, { signal }) =>
      tails.read(logFile(source), request, signal),
  }

  return {
    operations,
    /** Ends what is read along with. */
    close: (): void => tails.close(),
  }
}
