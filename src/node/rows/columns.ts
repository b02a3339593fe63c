/** Which column holds which field: said once per table, for reading and for writing. */
type Columns = Readonly<Record<string, string>>

export const inboundColumns = {
  id: 'id',
  tag: 'tag',
  remark: 'remark',
  protocol: 'protocol',
  listen: 'listen',
  port: 'port',
  settings: 'settings',
  stream: 'stream',
  secrets: 'secrets',
  sniffing: 'sniffing',
  enabled: 'enabled',
  limitBytes: 'limit_bytes',
  expiresAt: 'expires_at',
  trafficReset: 'traffic_reset',
  nextResetAt: 'next_reset_at',
  blocked: 'blocked',
  rowVersion: 'row_version',
  changeSeq: 'change_seq',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
} as const satisfies Columns

export const clientColumns = {
  id: 'id',
  email: 'email',
  emailKey: 'email_key',
  credentials: 'credentials',
  flow: 'flow',
  enabled: 'enabled',
  comment: 'comment',
  limitBytes: 'limit_bytes',
  expiresAt: 'expires_at',
  lastsDays: 'lasts_days',
  resetDays: 'reset_days',
  nextResetAt: 'next_reset_at',
  ipLimit: 'ip_limit',
  telegramId: 'telegram_id',
  startedAt: 'started_at',
  blocked: 'blocked',
  rowVersion: 'row_version',
  changeSeq: 'change_seq',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
} as const satisfies Columns

/** `a_column as aField, …` for a select. */
export function selected(columns: Columns): string {
  return Object.entries(columns)
    .map(([field, column]) => (field === column ? column : `${column} as ${field}`))
    .join(', ')
}

/** A row as `select *` gives it, by its fields. */
export function fieldsOf(columns: Columns, row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(columns).map(([field, column]) => [field, row[column]]))
}

/**
 * An insert by named parameters, or the update of the row that is there.
 * @param server an SQL expression for the server's id
 */
export function upsert(table: string, columns: Columns, server: string): string {
  const fields = Object.entries(columns)
  const changed = fields.filter(([field]) => field !== 'id').map(([, column]) => column)
  return `insert into ${table} (server_id, ${fields.map(([, column]) => column).join(', ')})
    values (${server}, ${fields.map(([field]) => `@${field}`).join(', ')})
    on conflict (server_id, id) do update set ${changed.map((column) => `${column} = excluded.${column}`).join(', ')}`
}
