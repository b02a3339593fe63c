import type { OperationName } from '#src/contract/index.ts'
import type { Change, Target } from '#src/fleet/types.ts'
import type { LookUp } from './domain-check.ts'
import type { Live } from './live.ts'
import type { Chats } from './store/chats.ts'
import type { Taps } from './store/taps.ts'
import type { BotContext, BotDeps } from './types.ts'

/** What a nonce stands for: a change of servers, or one of the fleet's own rows. */
export type Intent =
  | { kind: 'tasks'; operation: OperationName; targets: { serverId: number; input: unknown }[] }
  | { kind: 'enableServer'; server: number; enabled: boolean }
  | { kind: 'removeServer'; server: number }
  | { kind: 'callOff'; server: number; task: string }

/** What handlers, screens with effects and wizards share. */
export interface Services extends BotDeps {
  live: Live
  taps: Taps<Intent>
  chats: Chats
  lookUp: LookUp
  /** Ends with the bot: timers and background work hang on it. */
  signal: AbortSignal
  /** Answers the tap within a second, whatever `work` does; what it returns is said in the answer. */
  answered(ctx: BotContext, work: () => Promise<Toast | undefined | void>): Promise<void>
  /** Starts a batch, or finds it already started, and shows its progress. Returns when it is journaled. */
  runBatch<N extends OperationName>(
    ctx: BotContext,
    request: { operation: N; targets: Target<N>[]; before?: Change; id: string },
  ): Promise<void>
  /** The screen at an address; where there is none that only looks, that of a server, or with 0 the fleet's. */
  goBack(ctx: BotContext, address: string, server: number): Promise<void>
  showJoin(ctx: BotContext, server: number): Promise<void>
  showEdit(ctx: BotContext, server: number): Promise<void>
}

/** Words in the answer to a tap: a line that passes, or a box that must be closed. */
export interface Toast {
  text: string
  alert?: boolean
}
