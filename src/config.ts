/** bot.config.json and the environment, as a checked Config. Keys and their meaning are public: see docs/reference. */
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { type Environment, readSettings, variablesOf } from './config-read.ts'
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
const ip = z.union([z.ipv4(), z.ipv6()], 'write an IP address')
const seconds = (least: number, most: number) => z.coerce.number().int().min(least).max(most)
const port = z.coerce.number().int().min(1).max(65_535)
const yesOrNo = z.union(
  [z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')],
  'it must be true or false',
)

/** Whether Xray goes on serving when fleetgram ends, to be found again; else it is ended too, its traffic read. */
const keepXray = yesOrNo.default(true)

/** Lists may come from the environment as `1, 2`. */
const ids = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value),
  z
    .array(
      z.coerce
        .number("write a person's number at Telegram, which any “what is my id” bot tells")
        .int()
        .positive(),
    )
    .min(1),
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

/**
 * The controller's configuration. Every value can also come from the environment, which wins: `telegram.apiRoot` is
 * FLEETGRAM_TELEGRAM_API_ROOT. An empty variable counts as none.
 * @throws FleetError CONFIG_INVALID naming the key and the reason
 */
export function loadConfig(file: string, env: Environment): Config {
  return readSettings(configSchema, { file, env, prefix: 'FLEETGRAM' })
}

/** The agent's configuration; in the environment `data` is FLEETGRAM_AGENT_DATA. */
export function loadAgentConfig(file: string, env: Environment): AgentConfig {
  return readSettings(agentSchema, { file, env, prefix: 'FLEETGRAM_AGENT' })
}

/**
 * Variables that look like settings and are none, as a slip of the pen makes them. They end no start, as a wrong key of
 * a file does: whoever deploys us may have some of their own.
 */
export function unknownVariables(env: Environment): string[] {
  const known = new Set([
    'FLEETGRAM_KEY',
    ...variablesOf(configSchema, 'FLEETGRAM'),
    ...variablesOf(agentSchema, 'FLEETGRAM_AGENT'),
  ])
  return Object.keys(env).filter((name) => name.startsWith('FLEETGRAM_') && !known.has(name))
}

/** Where a controller keeps what belongs beside its database. */
export function controllerPaths(config: Config): { dataDir: string; xrayDir: string; keyFile: string } {
  const dataDir = dirname(config.database)
  return { dataDir, xrayDir: join(dataDir, 'xray'), keyFile: join(dataDir, 'fleetgram.key') }
}
