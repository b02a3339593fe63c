/** The fleet's door: what bot, web, health and notify may ask of it. */
import type {
  Client,
  ClientInput,
  Health,
  Inbound,
  NodeEvent,
  OperationInput,
  OperationName,
  ServerConnector,
  ServerInfo,
} from '#src/contract/index.ts'
import type { CodedError } from '#src/errors.ts'
import type { Actor, ServerStatus, TaskStatus } from '#src/store/schema.ts'
import type { Backups } from './backups.ts'

export type { Actor, ServerStatus, TaskStatus }

export interface Server {
  id: number
  name: string
  kind: 'local' | 'agent'
  endpoint: string | null
  publicAddress: string | null
  region: string
  tags: string[]
  notes: string
  alias: string
  status: ServerStatus
  enabled: boolean
  /** ms; may be up to an hour old in the database, newer in memory. */
  lastSeen: number | null
  /** In English. */
  lastError: string | null
  /** What lastError says, for whoever can say it in the reader's language. */
  problem: CodedError | null
  version: string | null
  xrayVersion: string | null
  osInfo: string | null
  createdAt: number
}

export type ServerEdit = Partial<
  Pick<Server, 'name' | 'publicAddress' | 'region' | 'tags' | 'notes' | 'alias'>
>

/** What health found out. The state machine itself lives in health. */
export interface ServerReport {
  status?: ServerStatus
  lastSeen?: number
  lastError?: string | null
  problem?: CodedError | null
  version?: string | null
  xrayVersion?: string | null
  osInfo?: string | null
}

export interface Servers {
  list(): Server[]
  /** @throws FleetError SERVER_NOT_FOUND */
  get(id: number): Server
  find(id: number): Server | undefined
  count(): number
  /** True while there is one server only: then no screen asks which. */
  isSingle(): boolean
  /** The server meant where none is named: the only one, else the local one while enabled, else the first enabled. */
  default(): Server
  /** @throws FleetError SERVER_NAME_TAKEN, BAD_INPUT */
  create(input: { name: string; region?: string; publicAddress?: string }, actor: Actor): Server
  /** @throws FleetError SERVER_NOT_FOUND, SERVER_NAME_TAKEN, BAD_INPUT */
  edit(id: number, edit: ServerEdit, actor: Actor): Server
  setEnabled(id: number, enabled: boolean, actor: Actor): Server
  /** Forgets the server, revokes its identity, cancels its open tasks. @throws FleetError SERVER_IS_LOCAL */
  remove(id: number, actor: Actor): void
  /** The one line to paste on the machine that is to become this server; valid `expiresAt` (ms), once. */
  invite(id: number, actor: Actor): { command: string; token: string; expiresAt: number }
  /** Health's findings into the row. In memory only where nothing but lastSeen moved. */
  report(id: number, report: ServerReport): void
}

export interface TaskView {
  id: string
  batch: string
  serverId: number
  serverName: string
  /** An operation of the contract, or one of the fleet's own: `servers.create`, `servers.edit` and so on. */
  operation: string
  /** Without secrets. */
  input: unknown
  status: TaskStatus
  attempts: number
  error: (CodedError & { message: string }) | null
  createdAt: number
  finishedAt: number | null
}

/** A change that will not be made, and who asked for it. */
export interface RefusedChange {
  task: TaskView
  actor: Actor
}

/** One target of a change. Inputs differ per server only where they must (row versions). */
export interface Target<N extends OperationName> {
  serverId: number
  input: OperationInput<N>
}

/** One operation on some servers. */
export type Change<N extends OperationName = OperationName> = {
  [Name in N]: { operation: Name; targets: Target<Name>[] }
}[N]

export interface Batch {
  id: string
  /** One per target, in the order asked for: nothing is left out. */
  tasks: TaskView[]
  /** Resolves when every task is settled or waits for a server that is away. Never rejects for a task's failure. */
  settled: Promise<TaskView[]>
}

export interface Tasks {
  /**
   * Journals one task per target in one transaction, then carries them out, per server in order.
   * `before` is carried out first, in the same batch: what the change itself needs.
   * `id` makes the request repeatable: a batch that is there already is returned, not run again.
   * @throws FleetError BAD_INPUT (nothing journaled), SERVER_NOT_FOUND
   */
  run<N extends OperationName>(request: {
    operation: N
    targets: Target<N>[]
    before?: Change
    actor: Actor
    id?: string
  }): Promise<Batch>
  batch(id: string): TaskView[]
  /** A new batch for what failed or expired in this one. */
  retryFailed(batchId: string, actor: Actor): Promise<Batch>
  /** Tasks still to be carried out on a server, oldest first. `begun`: the server may have done it already. */
  open(serverId: number): (TaskView & { begun: boolean })[]
  /** Calls off a task that waits. @returns false where it is over, under way, or may have been done already */
  cancel(taskId: string, actor: Actor): boolean
  /** Called on every change of a task of the batch, until unsubscribed. */
  watch(batchId: string, listener: (tasks: TaskView[]) => void): () => void
  /** The server may be reachable now: try its queue at once. */
  kick(serverId: number): void
}

/** A client as it stands on several servers under one name. */
export interface Person {
  email: string
  placements: { server: Server; client: ClientRow }[]
  /** Servers that were told of this client, or will be when they are back, and show no row of it yet. */
  waiting: Server[]
  up: number
  down: number
}

export interface ClientRow extends Omit<Client, 'links'> {
  serverId: number
}

export type InboundRow = Inbound & { serverId: number }

export interface Page<T> {
  items: T[]
  total: number
  /** From 0; a page asked for beyond the end is the last one. */
  page: number
  /** At least 1. */
  pages: number
}

export interface PeopleQuery {
  page: number
  size: number
  search?: string
  filter?: 'all' | 'disabled'
}

/** Answers from the mirror: at once, also for a server that is away. */
export interface View {
  /** How old a server's rows are, ms since the epoch; null for the own node, whose rows are the truth. */
  syncedAt(serverId: number): number | null
  inbounds(serverId: number): InboundRow[]
  inbound(serverId: number, id: number): InboundRow | undefined
  /**
   * Tags of inbounds for clients on all, or only some, of these servers, with on which. What waits in a server's queue
   * counts as done.
   */
  tags(serverIds: number[]): { tag: string; port: number; servers: number[] }[]
  clients(
    serverId: number,
    query: { page: number; size: number; search?: string; filter?: 'all' | 'disabled'; inboundId?: number },
  ): Page<ClientRow>
  client(serverId: number, id: number): ClientRow | undefined
  clientByEmail(serverId: number, email: string): ClientRow | undefined
  /** Distinct people over the whole fleet, by name. `disabled`: those who are on one server at least. */
  people(query: PeopleQuery): Page<Person>
  person(email: string): Person | undefined
  /** One link per inbound the client stands in. */
  links(serverId: number, clientId: number): { tag: string; link: string }[]
  totals(): { servers: number; clients: number; up: number; down: number }
  serverTotals(serverId: number): { inbounds: number; clients: number; up: number; down: number }
}

export interface FleetEvents {
  /** A server's row changed (status, name, joined, removed). */
  server: { serverId: number }
  /** A server has joined: its first certificate was issued. */
  joined: { serverId: number }
  /** A server has something to tell; what the mirror and health follow by themselves is not among it. */
  pushed: { serverId: number; event: PushedEvent }
  /** What happened at a server for a while is not known: whoever keeps account of it looks at everything. */
  missed: { serverId: number }
  /** Something speaks for looking at a server now: its event stream broke or stands again, or its Xray is up or down. */
  suspect: { serverId: number }
}

/** An event of a server that is news to people. */
export type PushedEvent = Exclude<NodeEvent, { type: 'gap' | 'beat' | 'changed' | 'unknown' }>

export interface Fleet {
  servers: Servers
  tasks: Tasks
  view: View
  backups: Backups
  /** @throws FleetError SERVER_NOT_FOUND, SERVER_NOT_JOINED, SERVER_DISABLED */
  connectorFor(serverId: number): ServerConnector
  /** Fresh credentials for a new client of the fleet. */
  newClient(email: string): ClientInput
  /** A good health reply: fetches what changed, if its position moved. Resolves when the mirror has caught up. */
  noteHealth(serverId: number, health: Health): Promise<void>
  noteInfo(serverId: number, info: ServerInfo): void
  /**
   * Resolves when what these servers were told of is in `view`, or when that takes too long to wait for. Never rejects.
   * For who looks at a change that ended before the last start: the batch of one that ends now is told no sooner.
   */
  caughtUp(serverIds: readonly number[]): Promise<void>
  /**
   * The server was given its certificate. `endpoint` is where it is dialled, `https://host:port`; null where it opens
   * the connection itself. Emits `joined`, and what waited for it is sent. @throws FleetError SERVER_NOT_FOUND
   */
  noteJoined(serverId: number, endpoint: string | null): void
  on<E extends keyof FleetEvents>(event: E, listener: (value: FleetEvents[E]) => void): () => void
  /** Makes everything pending from before a restart go on. */
  start(): void
  /** Ends timers and in-flight calls; what was in flight goes on after the next start under the same key. */
  stop(): Promise<void>
}
