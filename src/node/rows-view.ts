import type { ClientRecord, InboundSettings, Rows } from './rows.ts'

/** Rows as one change left them, each read and opened once. For as long as nothing else may change them. */
export interface RowsView {
  inbound(id: number): InboundSettings | undefined
  client(id: number): ClientRecord | undefined
}

export function viewRows(rows: Pick<Rows, 'inboundSettings' | 'client'>): RowsView {
  return { inbound: remembering(rows.inboundSettings), client: remembering(rows.client) }
}

function remembering<T>(read: (id: number) => T): (id: number) => T {
  const known = new Map<number, { value: T }>()
  return (id) => {
    const entry = known.get(id) ?? { value: read(id) }
    known.set(id, entry)
    return entry.value
  }
}
