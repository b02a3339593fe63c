/** A node's backups: made as a stream, and put back from one. */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { CallContext, ParsedRestore, RestoreReport } from '#src/contract/index.ts'
import { type Faults, noFaults } from '#src/faults.ts'
import { type Runtime, randomId } from '#src/runtime.ts'
import type { Migration } from '#src/store/migrate.ts'
import type { Engine } from '../engine/engine.ts'
import type { StreamedOperations } from '../operations.ts'
import type { PositionStore } from '../rows/position.ts'
import type { Replacements } from '../writes/replacement.ts'
import { type ByteReader, createByteReader } from './byte-reader.ts'
import { type CheckedCopy, openCopy } from './check-copy.ts'
import { checkRows } from './check-rows.ts'
import { copyRows } from './copy-out.ts'
import { type BackupHeader, limited, readHeader, sealBackup, unsealBackup } from './format.ts'
import { merge } from './merge.ts'
import { type RehearsalDeps, createRehearsal } from './rehearsal.ts'
import { requireKeys, theirBox } from './their-box.ts'

export interface BackupDeps extends RehearsalDeps {
  runtime: Runtime
  position: PositionStore
  engine: Engine
  replacements: Replacements
  migrations: readonly Migration[]
  /** Where copies lie while they are read; nothing else may use it. */
  folder: string
  /** This product's version. */
  release: string
  faults?: Faults | undefined
}

const RESTORE = 'backups.restore'

export interface Backups extends StreamedOperations {
  /** Removes what a kill has left. */
  tidy(): Promise<void>
}

export function createBackups(deps: BackupDeps): Backups {
  const { db, box, runtime, rows, position, engine, migrations, folder, release, faults = noFaults } = deps

  const rehearsal = createRehearsal(deps)

  /** An empty file for its owner alone. */
  async function emptyFile(): Promise<string> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const file = join(folder, `${randomId(runtime, 64)}.db`)
    const handle = await open(file, 'wx', 0o600)
    await handle.close()
    return file
  }

  /** The rows as of now, in a file that has no name any more: it goes when it is closed, or when we are killed. */
  async function openCopyOfRows(): Promise<FileHandle> {
    const file = await emptyFile()
    try {
      copyRows(db, file, migrations)
      return await open(file, 'r')
    } finally {
      await rm(file, { force: true })
    }
  }

  async function* make(passphrase: string): AsyncGenerator<Uint8Array, void, undefined> {
    const info = { createdAt: runtime.now(), release, keyId: box.keyIds[0] }
    const copy = await openCopyOfRows()
    try {
      yield* sealBackup((into) => readFully(copy, into), { passphrase, info })
    } finally {
      await copy.close()
    }
  }

  /** Brings the content of a backup into `file`, each part proven, and names the bytes it came in. */
  async function unsealInto(
    file: string,
    reader: ByteReader,
    header: BackupHeader,
    input: ParsedRestore,
  ): Promise<void> {
    async function* proven(): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const part of unsealBackup(header, reader, input.passphrase)) {
        // Said before all of it has come, and not before the passphrase was right.
        requireKeys([header.keyId], box, input.key)
        yield part
      }
    }
    await pipeline(proven(), createWriteStream(file))
  }

  function putBack(
    copy: CheckedCopy,
    header: BackupHeader,
    inputHash: string,
    input: ParsedRestore,
    call: CallContext,
  ): Promise<RestoreReport> {
    const merging = { copy, theirBox: theirBox(box, input.key), deleted: input.deleted }
    const mergeDeps = { db, box, rows, position, now: runtime.now() }
    return deps.replacements.run({
      operation: RESTORE,
      inputHash,
      call,
      plan: async () => {
        const rehearsed = rehearsal.rehearse(() => merge(mergeDeps, merging, 'structure'))
        await rehearsal.check(rehearsed)
        const { createdAt } = header
        const { restart } = engine.difference({
          ...engine.model(undefined, false),
          routing: rehearsed.routing,
        })
        const restartNeeded = restart.length > 0 && engine.state().running
        return {
          reopen: [...(await engine.strayed(rehearsed.inbounds)), ...rehearsed.reshown],
          commit: () => {
            const { routing: outcome, ...counts } = merge(mergeDeps, merging)
            const routing = { outcome, restartNeeded }
            return { createdAt, release: header.release, schema: copy.schema, ...counts, routing }
          },
        }
      },
    })
  }

  return {
    'backups.create': async ({ passphrase }) => make(passphrase),

    async 'backups.restore'(input, call, upload) {
      const digest = createHash('sha256')
      const reader = createByteReader(seen(limited(upload), (part) => digest.update(part)))
      const file = await emptyFile()
      try {
        const header = await readHeader(reader)
        await unsealInto(file, reader, header, input)
        const copy = openCopy(file, migrations, header.release)
        try {
          requireKeys(copy.keyIds, box, input.key)
          await checkRows(copy, theirBox(box, input.key))
          await faults.at('backup checked', RESTORE)
          // Not what was deleted since: that may have grown by the time a request is repeated, and the file is the same.
          return await putBack(copy, header, digest.digest('base64url'), input, call)
        } finally {
          copy.db.close()
        }
      } finally {
        await reader.close()
        await rm(file, { force: true })
      }
    },

    tidy: () => rm(folder, { recursive: true, force: true }),
  }
}

/** What is left of a file, up to the size of a buffer. */
async function readFully(file: FileHandle, into: Buffer): Promise<number> {
  let size = 0
  while (size < into.length) {
    const { bytesRead } = await file.read(into, size, into.length - size)
    if (bytesRead === 0) break
    size += bytesRead
  }
  return size
}

async function* seen(
  source: AsyncIterable<Uint8Array>,
  see: (part: Uint8Array) => unknown,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const part of source) {
    see(part)
    yield part
  }
}
