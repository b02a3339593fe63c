import pino from 'pino'
import { FleetError } from './errors.ts'

type Write = (details: object, message: string) => void

/** Where a part reports what nobody asked for. */
export interface Log {
  debug: Write
  info: Write
  warn: Write
  error: Write
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/**
 * What must not reach a log, whoever writes it: bot tokens, join tokens, share links, private keys, client ids. Passwords have
 * no shape. The
 * first eight digits of a UUID stay: enough to tell two apart, useless as a credential.
 */
const secretShapes: readonly [RegExp, string][] = [
  // No word boundary before it: in the address of a call it follows "bot" at once. There the colon may be escaped.
  [/\d{6,12}(?::|%3A)[A-Za-z0-9_-]{30,64}/gi, '<bot token>'],
  [/\bfg1\.[^\s"'\\]+/g, '<join token>'],
  [/\b(?:vless|vmess|trojan|ss|hysteria2|wireguard|socks):\/\/[^\s"'\\<]+/g, '<share link>'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, '<private key>'],
  // 32 bytes in base64, as keys of x25519 are: 43 characters of which the last has few values, of every kind.
  [/(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{42}[AEIMQUYcgkosw048](?![\w=-])/g, '<key>'],
  [/(?<![\w+/])[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=/g, '<key>'],
  [/\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '$1…'],
]

/** A text with everything that looks like a secret taken out. */
export function redact(text: string): string {
  return secretShapes.reduce((clean, [shape, instead]) => clean.replace(shape, instead), text)
}

/**
 * One JSON line per event to `write` (default: standard output). Errors are told by chosen fields only: the errors of
 * grammY hold the bot token and the text of messages.
 */
export function createLog(
  level: LogLevel,
  write: (line: string) => void = (line) => process.stdout.write(line),
): Log {
  return pino(
    {
      level,
      base: null,
      // For who reads it with journalctl or docker logs: words, and a time that is one.
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError, err: describeError, cause: describeError },
    },
    { write: (line: string) => write(redact(line)) },
  )
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, stack } = error
  const { code, details, method, error_code: errorCode } = error as unknown as Record<string, unknown>
  return {
    name,
    message,
    ...(code === undefined ? {} : { code }),
    ...(details === undefined ? {} : { details }),
    ...(typeof method === 'string' ? { method } : {}),
    ...(errorCode === undefined ? {} : { errorCode }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    // Of what was foreseen the code and the details say it all.
    ...(error instanceof FleetError && error.code !== 'INTERNAL' ? {} : { stack }),
  }
}
