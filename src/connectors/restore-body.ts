/**
 * The body of a request to restore: four bytes that say how long the parameters are, the parameters as JSON, then the
 * file. So the passphrase stands in no address and no header, and the file is never held as a whole.
 */
import { FleetError, fail } from '#src/errors.ts'
import { createByteReader } from '#src/node/backup/byte-reader.ts'

/** Room for the names of all that was deleted on a server in years. */
const MAX_PARAMETERS = 16 * 1024 * 1024
const LENGTH_BYTES = 4

export async function* restoreBody(
  parameters: unknown,
  file: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const json = Buffer.from(JSON.stringify(parameters))
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(json.length)
  yield Buffer.concat([length, json])
  yield* file
}

/** @throws FleetError BAD_INPUT, PAYLOAD_TOO_LARGE */
export async function readRestoreBody(
  body: AsyncIterable<Uint8Array>,
): Promise<{ parameters: unknown; file: AsyncIterable<Uint8Array> }> {
  const reader = createByteReader(body)
  const length = await reader.take(LENGTH_BYTES)
  if (length.length < LENGTH_BYTES) fail('BAD_INPUT', { field: 'body', reason: 'there is nothing in it' })
  const size = length.readUInt32BE()
  if (size > MAX_PARAMETERS) fail('PAYLOAD_TOO_LARGE', { limit: MAX_PARAMETERS })
  const json = await reader.take(size)
  try {
    return { parameters: JSON.parse(json.toString('utf8')) as unknown, file: reader.rest() }
  } catch (cause) {
    throw new FleetError('BAD_INPUT', { field: 'body', reason: 'its parameters are not JSON' }, { cause })
  }
}
