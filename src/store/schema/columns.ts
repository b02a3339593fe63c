import { integer, text } from 'drizzle-orm/sqlite-core'

/** A yes or no, kept as 1 or 0. */
export const flag = (name: string) => integer(name, { mode: 'boolean' })

/** A value kept as JSON text. Its type is a promise of whoever writes it. */
export const json = <T>(name: string) => text(name, { mode: 'json' }).$type<T>()
