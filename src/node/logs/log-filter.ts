import { logLevels } from '#src/contract/log-tail.ts'

export type LogLevel = (typeof logLevels)[number]

/** `2026/11/25 18:45:24.656595 [Info] infra/conf/serial: …` */
const leveled = /^(?:\d\S* \d\S* )?\[(Debug|Info|Warning|Error)\]/

/** The level of a line of Xray's log; undefined for one that has none: of the access log, or the rest of a long one. */
export function levelOf(line: string): LogLevel | undefined {
  return leveled.exec(line)?.[1]?.toLowerCase() as LogLevel | undefined
}

/**
 * Which lines are wanted.
 * @param level this and above; a line without a level cannot be judged, and is rather shown than hidden
 * @param contains this text, in whatever case
 */
export function logFilter({
  level,
  contains,
}: {
  level?: LogLevel | undefined
  contains?: string | undefined
}): (line: string) => boolean {
  const least = level === undefined ? 0 : logLevels.indexOf(level)
  const text = contains?.toLowerCase()
  return (line) => {
    const its = levelOf(line)
    if (its !== undefined && logLevels.indexOf(its) < least) return false
    return text === undefined || line.toLowerCase().includes(text)
  }
}
