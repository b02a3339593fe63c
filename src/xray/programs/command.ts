import { execFile } from 'node:child_process'

export interface CommandResult {
  /** null when it was ended by a signal, the time limit among them, or could not be run at all. */
  exitCode: number | null
  /** What it printed to standard output and error, in this order. */
  output: string
}

// Ends a command that prints without end; a refused configuration of 50,000 users stays far below.
const maxOutputBytes = 16 * 1024 * 1024

/** Runs Xray for one short command, without a shell. Never rejects: a failure is a result. */
export function runXray(
  binary: string,
  args: readonly string[],
  {
    input = '',
    timeoutMs = 30_000,
    assets = null,
  }: { input?: string; timeoutMs?: number; assets?: string | null } = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      binary,
      args,
      {
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: maxOutputBytes,
        env: xrayEnvironment(process.env, assets),
      },
      (error, stdout, stderr) => {
        const said = `${stdout}\n${stderr}`.trim()
        if (error === null) return resolve({ exitCode: 0, output: said })
        const exitCode = typeof error.code === 'number' ? error.code : null
        resolve({ exitCode, output: said === '' ? error.message : said })
      },
    )
    // An Xray that exits before it has read everything closes the pipe; its exit code tells the story.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/**
 * What Xray may see of our environment: its own settings and where files and time zones are. Never the rest, which
 * holds secrets such as the bot's token.
 * @param assets a folder for Xray's geo files, in place of where it would look
 */
export function xrayEnvironment(env: NodeJS.ProcessEnv, assets: string | null = null): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'TZ', 'LANG', 'TMPDIR', 'SSL_CERT_FILE', 'SSL_CERT_DIR']
  const own = Object.entries(env).filter(([name]) => kept.includes(name) || /^(XRAY|GO)[A-Z_.]*$/i.test(name))
  return { ...Object.fromEntries(own), ...(assets === null ? {} : { XRAY_LOCATION_ASSET: assets }) }
}

// A reason has to fit into a chat message beside other text.
const maxReasonLength = 400

/**
 * The line of Xray's output that says what is wrong, short. Xray chains causes, each behind its package's name, the
 * deepest last: `Failed to start: main: a > infra/conf: b > proxy/vless: c`. The last two say it best.
 */
export function lastMeaningfulLine(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(Xray \d|A unified platform|goroutine \d|\/|adding: )/.test(line))
  const dying = lines.find((line) => /^(?:panic|fatal error): /.test(line))
  const telling =
    dying ?? lines.findLast((line) => /fail|error|panic|fatal|invalid|refused|denied|unable/i.test(line))
  const causes = (telling ?? lines.at(-1) ?? 'it said nothing')
    .replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d(\.\d+)? /, '')
    .split(' > ')
    .map((cause) => cause.replace(/^[a-z]\w*(\/\w+)+: /, ''))
  return causes
    .slice(-2)
    .join(': ')
    .replace(/[.:\s]+$/, '')
    .slice(0, maxReasonLength)
}
