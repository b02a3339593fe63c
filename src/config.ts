/** bot.config.json and the environment, as a checked Config. Keys and their meaning are public: see docs/reference. */
import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { fail } from './errors.ts'
import { logLevels } from './log.ts'
import { defaultAcme } from './node/certificates/acme/settings.ts'
import { type Address, isHost, parseAddress } from './trust/address.ts'
import { runsFromSource } from './version.ts'

const address = z.string().transform((text, context): Address => {
  const parsed = parseAddress(text)
  if (parsed !== undefined) return parsed
  context.addIssue({ code: 'custom', message: 'write it as host:port, for example 0.0.0.0:8443' })
  return z.NEVER
})

const host = z.string().refine(isHost, 'write a host name or an IP address')
const ip = z.union([z.ipv4(), z.ipv6()])
const seconds = (least: number, most: number) => z.coerce.number().int().min(least).max(most)
const port = z.coerce.number().int().min(1).max(65_535)
const yesOrNo = z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')])

/** Whether Xray goes on serving when fleetgram ends, to be found again; else it is ended too, its traffic read. */
const keepXray = yesOrNo.default(true)

/** Lists may come from the environment as `1, 2`. */
const ids = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value),
  z.array(z.coerce.number().int().positive()).min(1),
)

const sections = {
  telegram: z.strictObject({
    token: z.string().regex(/^\d{6,12}:[\w-]{30,64}$/, 'copy it whole from @BotFather'),
    apiRoot: z
      .url({ protocol: /^https?$/ })
      .transform((url) => url.replace(/\/+$/, ''))
      .default('https://api.telegram.org'),
    owners: ids,
  }),
  web: z.strictObject({ listen: address.prefault('127.0.0.1:8080') }).prefault({}),
  gateway: z
    .strictObject({
      listen: address.prefault('0.0.0.0:8443'),
      /** Where other machines reach the gateway; it stands in join commands. */
      publicAddress: address.optional(),
      /** What stands before the token in join commands: how the agent is started on the machines of this fleet. */
      joinCommand: z
        .string()
        .trim()
        .regex(/^[^\p{Cc}]{1,500}$/u, 'write one line')
        .default(runsFromSource ? 'npm run agent -- join' : 'fleetgram agent join'),
    })
    .prefault({}),
  /** The machine the controller runs on, which is server 1. */
  local: z
    .strictObject({
      publicAddress: host.optional(),
      /** The IP address its inbounds listen on, where one names none; all of them unless told. */
      inboundListen: ip.optional(),
      keepXray,
      /** Lets clients reach this machine's own and private networks. For tests and the demo. */
      allowPrivateTargets: yesOrNo.default(false),
    })
    .prefault({}),
  health: z
    .strictObject({
      intervalSeconds: seconds(1, 3_600).default(30),
      startupGraceSeconds: seconds(0, 3_600).default(60),
    })
    .prefault({}),
  /** Where this machine gets certificates for its TLS inbounds. */
  acme: z
    .strictObject({
      directory: z.url({ protocol: /^https$/ }).default(defaultAcme.directory),
      caFile: z
        .string()
        .min(1)
        .transform((text) => resolve(text))
        .optional(),
      listen: ip.optional(),
      httpPort: port.default(defaultAcme.httpPort),
      tlsPort: port.default(defaultAcme.tlsPort),
    })
    .prefault({}),
  log: z.strictObject({ level: z.enum(logLevels).default('info') }).prefault({}),
}

const limits = z
  .strictObject({
    /** What becomes of connections that stand when their client is refused. */
    cut: z.enum(['sockets', 'restart', 'off']).default('sockets'),
  })
  .prefault({})

/** A path from the folder we were started in. Made whole, since Xray works in a folder of its own. */
const path = (preset: string) =>
  z
    .string()
    .min(1)
    .default(preset)
    .transform((text) => resolve(text))

const configSchema = z.strictObject({ ...sections, limits, database: path('data/fleetgram.db') })
export type Config = z.output<typeof configSchema>

const agentSchema = z.strictObject({
  /** Folder of the agent's database, keys and Xray. */
  data: path('data/agent'),
  listen: address.prefault('0.0.0.0:8443'),
  /** Where the controller and clients reach this machine, where it is not the address it joins from. */
  publicAddress: host.optional(),
  inboundListen: ip.optional(),
  keepXray,
  allowPrivateTargets: yesOrNo.default(false),
  acme: sections.acme,
  limits,
  log: sections.log,
})
export type AgentConfig = z.output<typeof agentSchema>

type Environment = Record<string, string | undefined>

/**
 * The controller's configuration. Every value can also come from the environment, which wins: `telegram.apiRoot` is
 * FLEETGRAM_TELEGRAM_API_ROOT. An empty variable counts as none.
 * @throws FleetError CONFIG_INVALID naming the key and the reason
 */
export function loadConfig(file: string, env: Environment): Config {
  return parse(configSchema, file, env, 'FLEETGRAM')
}

/** The agent's configuration; in the environment `data` is FLEETGRAM_AGENT_DATA. */
export function loadAgentConfig(file: string, env: Environment): AgentConfig {
  return parse(agentSchema, file, env, 'FLEETGRAM_AGENT')
}

/** Where a controller keeps what belongs beside its database. */
export function controllerPaths(config: Config): { dataDir: string; xrayDir: string; keyFile: string } {
  const dataDir = dirname(config.database)
  return { dataDir, xrayDir: join(dataDir, 'xray'), keyFile: join(dataDir, 'fleetgram.key') }
}

/** What the file holds; undefined when there is none. */
function readObject(file: string): Record<string, unknown> | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    // No file is no mistake: everything may come from the environment.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    return fail('CONFIG_INVALID', { file, key: 'the file', reason: (error as Error).message })
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
    return fail('CONFIG_INVALID', { file, key: 'the file', reason: 'it must hold one JSON object' })
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    // Without the piece of the file that V8 quotes: it may be half of a token, which nothing would recognise.
    const reason = error.message.replace(/, (?:\.\.\.)?".*is not valid JSON$/s, '')
    return fail('CONFIG_INVALID', { file, key: 'the file', reason: `it is not JSON: ${reason}` })
  }
}

function parse<S extends z.ZodObject>(
  schema: S,
  file: string,
  env: Environment,
  prefix: string,
): z.output<S> {
  const fromFile = readObject(file)
  const merged = overlay(schema, fromFile ?? {}, env, prefix)
  const result = schema.safeParse(merged)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = issue?.path ?? []
  const key = path.length === 0 ? 'the file' : path.join('.')
  let reason = issue?.message ?? ''
  if (path.length > 0 && valueAt(merged, path) === undefined)
    reason = `it must be set${fromFile === undefined ? ', and there is no such file here' : ''}`
  return fail('CONFIG_INVALID', { file, key, reason })
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value)
}

/** The file's values with those of the environment laid over them, key by key of the schema. */
function overlay(
  schema: z.ZodObject,
  fromFile: Record<string, unknown>,
  env: Environment,
  prefix: string,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...fromFile }
  for (const [key, field] of Object.entries(schema.shape)) {
    const name = `${prefix}_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
    const inner = sectionOf(field)
    if (inner !== undefined) {
      const section = fromFile[key]
      const before =
        typeof section === 'object' && section !== null ? (section as Record<string, unknown>) : {}
      const after = overlay(inner, before, env, name)
      // A section that is none, such as a string, is left for the schema to refuse.
      if (section === undefined || section === before) merged[key] = after
    } else if (isSet(env[name])) merged[key] = env[name]
  }
  return merged
}

/** Compose files and service managers pass on a variable nobody has filled in as an empty one. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value.trim() !== ''
}

function sectionOf(field: unknown): z.ZodObject | undefined {
  if (field instanceof z.ZodPrefault) return sectionOf(field.unwrap())
  return field instanceof z.ZodObject ? field : undefined
}
