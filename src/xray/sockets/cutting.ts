import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import { type SeenConnection, isPipe, openAccessPipe } from './access-pipe.ts'
import { type SocketCutter, createSocketCutter } from './socket-cutter.ts'

/** What ends connections of single clients. */
export interface Cutting {
  /** null: it cannot be done here, or is not wanted. */
  sockets: SocketCutter | null
  /** What Xray is to write its access log to; null: nothing. */
  accessLog: string | null
  close(): void
}

interface CuttingOptions {
  /** Where the pipe lies, or comes to lie. */
  path: string
  isWanted: boolean
  onSeen: (seen: SeenConnection) => void
  runtime: Pick<Runtime, 'sleep'>
  log: Log
}

/** Never fails: where it is not possible, connections that stand are let stand. */
export async function openCutting(options: CuttingOptions): Promise<Cutting> {
  const { path, isWanted, onSeen, runtime, log } = options
  try {
    const sockets = isWanted ? await createSocketCutter(runtime) : null
    if (isWanted && sockets === null)
      log.info({}, 'connections that stand cannot be cut here: that needs ss and CAP_NET_ADMIN')
    // An Xray that was told of it in an earlier life, or falls back to its configuration of then, must find a reader.
    const isHeld = sockets !== null || (await isPipe(path))
    const pipe = isHeld ? await openAccessPipe(path, sockets === null ? () => undefined : onSeen) : null
    return { sockets, accessLog: sockets === null ? null : path, close: () => pipe?.close() }
  } catch (error) {
    log.warn({ error }, 'connections that stand cannot be cut here')
    return { sockets: null, accessLog: null, close: () => undefined }
  }
}
