import type { ClientRecord, InboundSettings } from './records.ts'
import type { Rows } from './rows.ts'

/** Rows as one change left them, each read and opened once. For as long as nothing else may change them. */
export interface RowsView {
  inbound(id: number): InboundSettings | undefined
  client(id: number): ClientRecord | undefined
}

/** Rows that a change has read or written itself. */
export interface KnownRows {
  inbounds: readonly InboundSettings[]
  clients: readonly ClientRecord[]
}

const none: KnownRows = { inbounds: [], clients: [] }

export function viewRows(
  rows: Pick<Rows, 'inboundSettings' | 'client'>,
  { inbounds, clients }: KnownRows = none,
): RowsView {
  return {
    inbound: remembering(rows.inboundSettings, inbounds),
    client: remembering(rows.client, clients),
  }
}

function remembering<T extends { id: number }>(
  read: (id: number) => T | undefined,
  rows: readonly T[],
): (id: number) => T | undefined {
  const known = new Map(rows.map((value): [number, { value: T | undefined }] => [value.id, { value }]))
  return (id) => {
    const entry = known.get(id) ?? { value: read(id) }
    known.set(id, entry)
    return entry.value
  }
}
