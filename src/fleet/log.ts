type Write = (details: object, message: string) => void

/** Where the fleet reports what nobody asked for. A pino logger is one. */
export interface FleetLog {
  debug: Write
  info: Write
  warn: Write
  error: Write
}
