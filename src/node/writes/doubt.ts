import type { Sqlite } from '#src/store/open.ts'

/**
 * Whether Xray may differ from the rows, since a change was taken back and it has yet to be told; and in which
 * inbounds. Kept in the file: a kill in between must not make it forgotten.
 */
export function createDoubt(db: Sqlite) {
  const key = 'xray.doubted'
  const get = db.prepare('select value from settings where key = ?').pluck()
  const set = db.prepare(
    'insert into settings (key, value) values (?, ?) on conflict (key) do update set value = excluded.value',
  )
  const remove = db.prepare('delete from settings where key = ?')
  // Before every change it is looked at, and almost never is there any.
  let isKnown = get.get(key) !== undefined

  const read = (): number[] | undefined => {
    const value = isKnown ? (get.get(key) as string | undefined) : undefined
    return value === undefined ? undefined : (JSON.parse(value) as number[])
  }

  return {
    /** Ids of the inbounds whose listeners may be other than in the rows; undefined: there is no doubt at all. */
    read,
    /** Inside the transaction that gives the reason. */
    add(inbounds: readonly number[]): void {
      isKnown = true
      set.run(key, JSON.stringify([...new Set([...(read() ?? []), ...inbounds])]))
    },
    clear(): void {
      remove.run(key)
      isKnown = false
    },
  }
}
