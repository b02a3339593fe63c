import type { OperationName, OperationOutput, RoutingDocument } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import type { Runtime } from '#src/runtime.ts'
import { maskSecrets } from '#src/xray/config/secret-keys.ts'
import { validateModel } from '#src/xray/config/validate.ts'
import { validateRouting } from '#src/xray/config/validate-routing.ts'
import type { Engine } from './engine/engine.ts'
import type { NodeOperations } from './operations.ts'
import type { RoutingRow } from './rows/routing-row.ts'
import type { Snapshot } from './rows/snapshot.ts'
import type { Writes } from './writes/writes.ts'

export interface RoutingDeps {
  row: RoutingRow
  writes: Writes
  engine: Engine
  runtime: Pick<Runtime, 'now'>
  /** Lets Xray read a configuration without running it. @throws XRAY_REFUSED */
  testConfig: (config: object) => Promise<void>
}

type RoutingOperations = Pick<NodeOperations, Extract<OperationName, `routing.${string}`>>
type Outcome = OperationOutput<'routing.set'>

const scope = { inbounds: [], clients: [], routing: true }

export function createRouting({ row, writes, engine, runtime, testConfig }: RoutingDeps) {
  const operations: RoutingOperations = {
    'routing.get': async ({ reveal }) => {
      const { document, rowVersion } = row.read()
      return { ...(reveal ? document : masked(document)), rowVersion }
    },

    'routing.set': (input, call) =>
      writes.run<Outcome>({
        operation: 'routing.set',
        input,
        call,
        plan: async () => {
          const { rowVersion: read, allowRestart, ...document } = input
          const { rowVersion } = row.read()
          if (read !== undefined && read !== rowVersion) fail('STALE_ROW_VERSION')
          const model = { ...engine.model(undefined, false), routing: document }
          const wrong = validateRouting(document) ?? validateModel(model)
          if (wrong !== null) throw wrong
          await testConfig(engine.render(model))
          const { restart } = engine.difference(model)
          const { running, startedAt } = engine.state()
          if (restart.length > 0 && running && !allowRestart) {
            fail('RESTART_NEEDED', { reasons: restart.join(', ') })
          }
          return {
            before: scope,
            commit: () => {
              row.save(document, rowVersion + 1, runtime.now())
              return scope
            },
            ...(restart.length > 0 && {
              command: { operation: 'routing.set', xrayBefore: startedAt, target: null },
            }),
          }
        },
      }),
  }

  return {
    operations,

    /** The answer to `routing.set`, from the rows before and now. */
    answer(before: Snapshot): Outcome {
      const { document, rowVersion } = row.read()
      const { steps, restart, changed } = engine.differenceSince(before)
      const how = restart.length > 0 ? 'restart' : steps.length > 0 ? 'hot' : 'unchanged'
      return { ...masked(document), rowVersion, applied: { how, why: changed } }
    },
  }
}

/** Fit to be shown: credentials of ways out replaced. */
function masked(document: RoutingDocument): RoutingDocument {
  return {
    ...document,
    outbounds: document.outbounds.map((outbound) => maskSecrets(outbound)),
  } as RoutingDocument
}
