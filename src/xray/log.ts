type Write = (details: object, message: string) => void

/** Where this folder's parts report what nobody asked for: a crash, a restart. A pino logger is one. */
export interface XrayLog {
  debug: Write
  info: Write
  warn: Write
  error: Write
}
