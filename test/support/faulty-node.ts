/**
 * A server whose write path is the real one, over a real database in memory and a fake Xray, behind a connection that
 * loses, delays and repeats. Its process can be killed at a named point, its database put back as it was or emptied.
 */
import Database from 'better-sqlite3'
import {
  type CallContext,
  type OperationName,
  type ServerConnector,
  callOperation,
  contract,
  isStream,
  operationMeta,
} from '#src/contract/index.ts'
import { type ErrorCode, FleetError, toFleetError } from '#src/errors.ts'
import type { FaultPoint } from '#src/faults.ts'
import type { Log } from '#src/log.ts'
import type { Runtime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import type { SecretBox } from '#src/trust/secret-box.ts'
import { emptyServerDatabase } from './empty-database.ts'
import { type FaultyProcess, createFaultyProcess, unreachable } from './faulty-process.ts'
import { type FakeXray, createFakeXray } from './fake-xray.ts'

/** What becomes of the next writes, one each. */
export type WriteFault =
  /** It never gets there, and nobody says so. */
  | 'request lost'
  /** It is held up on its way, while its sender believes it lost. */
  | 'request late'
  /** It is carried out, and nobody hears of it. */
  | 'answer lost'
  /** It is carried out after 20 s, within its time. */
  | 'slow'
  /** It is answered 20 s after it was carried out. */
  | 'answer slow'
  | 'killed: applying committed'
  | 'killed: hot-applied'
  | 'killed: result committed'

export interface FaultyNode {
  connector: ServerConnector
  xray: FakeXray
  /** The database as it is now; another one after every start. */
  db(): Sqlite
  /** Moves when the database is replaced. */
  life(): number
  /** Lives in which the node's database had this epoch: one. */
  lifeOf(epoch: string): number | undefined
  /** How the controller was answered last under this key, and in which life. */
  answers: Map<string, { life: number; code: ErrorCode | 'ok' }>
  offline: boolean
  faults: WriteFault[]
  running(): boolean
  start(): Promise<void>
  /** As by SIGKILL. Xray runs on. */
  kill(): void
  backup(): Buffer
  /** Puts this database in the place of the present one; without one, an empty one. The process must be down. */
  restore(copy?: Buffer): void
  /** What was held up on its way arrives now. */
  deliverLate(): Promise<void>
  end(): void
}

interface Options {
  signal?: AbortSignal
  context?: CallContext
}

const SLOW_MS = 20_000

export function createFaultyNode(deps: {
  box: SecretBox
  runtime: Runtime
  log: Log
  name: string
}): FaultyNode {
  const { runtime } = deps
  const xray = createFakeXray()
  const epochs = new Map<string, number>()
  let db = new Database(emptyServerDatabase())
  let life = 1
  let late: (() => Promise<unknown>)[] = []
  let current: FaultyProcess | undefined
  let connections = new AbortController()
  let dying: FaultPoint | undefined

  /** Carried out by the process that runs now, as long as it runs. */
  function carryOut(operation: OperationName, input: unknown, options: Options): Promise<unknown> {
    if (current === undefined) return Promise.reject(unreachable())
    const answer = callOperation(current.local, operation, input as never, options)
    return Promise.race([answer, current.killed])
  }

  async function meetFault(
    fault: WriteFault | undefined,
    operation: OperationName,
    input: unknown,
    context: CallContext,
  ): Promise<unknown> {
    const arrive = (): Promise<unknown> => carryOut(operation, input, { context })
    const lost = (): never => {
      throw new FleetError('SERVER_TIMEOUT', { seconds: 30 })
    }
    /** Time goes by on a connection, which ends with the process at its other end. */
    const { killed } = current ?? { killed: Promise.reject(unreachable()) }
    const hold = (): Promise<void> => Promise.race([runtime.sleep(SLOW_MS), killed])
    switch (fault) {
      case 'request lost':
        return lost()
      case 'request late':
        late.push(arrive)
        return lost()
      case 'answer lost':
        await arrive().catch(() => undefined)
        return lost()
      case 'slow':
        await hold()
        return arrive()
      case 'answer slow': {
        const outcome = await arrive().then(
          (value) => () => value,
          (error: unknown) => () => {
            throw error
          },
        )
        await hold()
        return outcome()
      }
      case undefined:
        return arrive()
      default:
        dying = fault.slice('killed: '.length) as FaultPoint
        return arrive()
    }
  }

  async function call(operation: OperationName, input: unknown, { signal, context }: Options = {}) {
    signal?.throwIfAborted()
    if (self.offline || current === undefined) throw unreachable()
    if (isStream(operation)) {
      const { signal: cut } = connections
      return carryOut(operation, input, {
        signal: AbortSignal.any(signal === undefined ? [cut] : [signal, cut]),
      })
    }
    if (operationMeta(operation).kind === 'read') return carryOut(operation, input, {})
    const key = context?.idempotencyKey ?? ''
    // Over a wire: what is sent is not the object that is kept.
    const sent: unknown = structuredClone(input)
    // Of the life it reached: its answer may come when that is over, and another has been given since.
    const reached = life
    const answered = (code: ErrorCode | 'ok'): void => {
      if ((self.answers.get(key)?.life ?? 0) <= reached) self.answers.set(key, { life: reached, code })
    }
    try {
      const answer = await meetFault(self.faults.shift(), operation, sent, context ?? {})
      if (signal?.aborted !== true) answered('ok')
      return answer
    } catch (error) {
      if (signal?.aborted !== true) answered(toFleetError(error, '').code)
      throw error
    }
  }

  const group = (prefix: string) =>
    new Proxy(
      {},
      {
        get: (_target, operation) => (input: unknown, options?: Options) =>
          call(`${prefix}.${String(operation)}` as OperationName, input, options),
      },
    )

  const self: FaultyNode = {
    connector: Object.fromEntries(
      Object.keys(contract).map((name) => [name, group(name)]),
    ) as unknown as ServerConnector,
    xray,
    db: () => db,
    life: () => life,
    lifeOf: (epoch) => epochs.get(epoch),
    answers: new Map(),
    offline: false,
    faults: [],
    running: () => current !== undefined,

    async start() {
      if (current !== undefined) return
      const process = createFaultyProcess({
        ...deps,
        db,
        xray,
        endsAt(point) {
          if (point !== dying) return false
          self.kill()
          return true
        },
      })
      await process.begin()
      const epoch = db.prepare('select epoch from sync_states where server_id = 1').pluck().get() as string
      epochs.set(epoch, life)
      current = process
    },

    kill() {
      if (current === undefined) return
      const file = db.serialize()
      db.close()
      db = new Database(file)
      xray.orphan()
      // Connections end with it, and what was on its way through them.
      late = []
      connections.abort(unreachable())
      connections = new AbortController()
      dying = undefined
      current.die()
      current = undefined
    },

    backup: () => db.serialize(),

    restore(copy = emptyServerDatabase()) {
      if (current !== undefined) throw new Error('the process is running')
      db.close()
      db = new Database(copy)
      life++
    },

    async deliverLate() {
      const arriving = late
      late = []
      await Promise.allSettled(arriving.map((arrive) => arrive()))
    },

    end() {
      self.kill()
      db.close()
    },
  }
  return self
}
