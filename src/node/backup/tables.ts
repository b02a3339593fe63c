/**
 * What of a node's database goes into a backup, and how it comes back. A new table is one entry here; a test fails
 * for one that has none.
 */
import { LOCAL_SERVER_ID, type Sqlite } from '#src/store/open.ts'

export type Raw = Record<string, string | number | null>
export type Kind = 'inbound' | 'client'
/** Of each kind, from the id of a row in a backup to its id here. */
export type Ids = Readonly<Record<Kind, Map<number, number>>>

/** Rows with an id of this node and a name of their own, which others refer to. */
export interface Entity {
  table: string
  kind: Kind
  /** The column by which no two of them are alike. */
  name: string
  /** Columns that hold a sealed text. */
  sealed: readonly string[]
  /** What two rows of one name must have in common to be the same one. None: the name is enough. */
  proof?: string
  /** Xray cannot be started without it. */
  structural?: true
  /** Which of another kind it belongs to. That is part of the row: it moves with its version. */
  members?: { table: string; own: string; other: string; kind: Kind }
}

/** Columns that tell what a row is about: of which kind, and its id as text, or its name. */
export interface Subject {
  kind: string
  id: string
}

/** Rows that belong to an entity, or stand for themselves. */
export interface Dependent {
  table: string
  /** What names a row, beside its server. */
  key: readonly string[]
  /** Columns with the id of an entity: it may have another here. */
  refers: Readonly<Record<string, Kind>>
  sealed: readonly string[]
  structural?: true
  /** Rows about entities of either kind, or about something that has a name of its own. */
  subject?: Subject
  /**
   * Where there is a row already. largest: of every number the larger, since counters only grow; theirs: that of the
   * backup; a column: all of the row in which that is larger, and a time in it is kept, for the next comparison.
   */
  merge: 'largest' | 'theirs' | { newer: string }
  /** Numbers that are a part of another: never larger than that. */
  parts?: Readonly<Record<string, string>>
}

/** In the order in which they refer to each other. */
export const entities: readonly Entity[] = [
  { table: 'inbounds', kind: 'inbound', name: 'tag', sealed: ['secrets'], structural: true },
  {
    table: 'clients',
    kind: 'client',
    name: 'email_key',
    sealed: ['credentials'],
    proof: 'credentials',
    members: { table: 'client_inbounds', own: 'client_id', other: 'inbound_id', kind: 'inbound' },
  },
]

export const dependents: readonly Dependent[] = [
  {
    table: 'client_traffics',
    key: ['client_id'],
    refers: { client_id: 'client' },
    sealed: [],
    merge: 'largest',
    parts: { reset_up: 'up', reset_down: 'down' },
  },
  {
    table: 'inbound_traffics',
    key: ['inbound_id'],
    refers: { inbound_id: 'inbound' },
    sealed: [],
    merge: 'largest',
    parts: { reset_up: 'up', reset_down: 'down' },
  },
  { table: 'outbound_traffics', key: ['tag'], refers: {}, sealed: [], merge: 'largest' },
  {
    table: 'inbound_client_ips',
    key: ['client_id', 'address'],
    refers: { client_id: 'client' },
    sealed: [],
    merge: { newer: 'last_seen_at' },
  },
  {
    table: 'traffic_days',
    key: ['kind', 'subject', 'day'],
    refers: {},
    subject: { kind: 'kind', id: 'subject' },
    sealed: [],
    merge: 'largest',
  },
  {
    table: 'certificates',
    key: ['domain'],
    refers: {},
    sealed: ['key'],
    // Not by its end: one of an authority, which took the place of a self-signed one, ends sooner than that.
    merge: { newer: 'updated_at' },
    structural: true,
  },
  {
    table: 'routings',
    key: [],
    refers: {},
    sealed: ['document'],
    merge: 'theirs',
    structural: true,
  },
]

/** In a backup too, but for what they tell of the rest: they do not replace what stands here. */
const facts: readonly string[] = ['servers', 'sync_states', 'tombstones', 'deleted_certificates']

/** Every table of a backup that holds rows of the node, parents first. */
export const copied: readonly string[] = [
  ...facts,
  ...entities.flatMap(({ table, members }) => (members === undefined ? [table] : [table, members.table])),
  ...dependents.map(({ table }) => table),
]

/** Names of tables and columns come from our own schema; still they are quoted, since `order` and `key` are words too. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** The columns of a table that can be written, in their order. */
export function columnsOf(db: Sqlite, table: string): string[] {
  const all = db.prepare('select name, hidden from pragma_table_xinfo(?) order by cid').all(table) as {
    name: string
    hidden: number
  }[]
  return all.filter(({ hidden }) => hidden === 0).map(({ name }) => name)
}

/** Where a sealed text stands: the same for whoever wrote it. */
export function placeOf(table: string, key: readonly (string | number | null | undefined)[], column: string) {
  return [table, LOCAL_SERVER_ID, ...key, column].join(':')
}
