import { randomUUID } from 'node:crypto'
import type { RestoreBackup, RestoreReport } from '#src/contract/index.ts'
import type { Node } from '#src/node/node.ts'

export const passphrase = 'correct horse'

/** Bytes as they might come over a network. */
export async function* inParts(bytes: Uint8Array, size = 50_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

export async function backupOf(node: Node): Promise<Buffer> {
  return bytesOf(await node.operations['backups.create']({ passphrase }))
}

export function restoreTo(
  node: Node,
  file: Uint8Array,
  more: Partial<RestoreBackup> = {},
  idempotencyKey: string = randomUUID(),
): Promise<RestoreReport> {
  const input = { passphrase, ...more, deleted: more.deleted ?? { clients: [], inbounds: [] } }
  return node.operations['backups.restore'](input, { idempotencyKey }, inParts(file))
}

/** Bytes as a backup is sealed from. */
export function contentOf(bytes: Uint8Array): (into: Buffer) => Promise<number> {
  let at = 0
  return async (into) => {
    const part = bytes.subarray(at, at + into.length)
    into.set(part)
    at += part.length
    return part.length
  }
}
