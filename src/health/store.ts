import { and, eq, isNull } from 'drizzle-orm'
import { chatsWith, downKey, drop, dropExcept, enqueue, type Tx, upKey } from '#src/notify/outbox.ts'
import type { CodedError } from '#src/errors.ts'
import { type Db, tables } from '#src/store/drizzle.ts'
import type { HealthEffect } from './decide.ts'
import { type HealthState, parseHealthState } from './state.ts'

const { incidents, serverHealth, serverTransitions } = tables

interface HealthCommit {
  serverId: number
  serverName: string
  state: HealthState
  effects: HealthEffect[]
  /** Who is told of a new incident. */
  chats: string[]
  /** ms */
  now: number
}

export interface HealthStore {
  /** As of the last commit, or undefined for a server that has none. */
  load(serverId: number): HealthState | undefined
  /** State, transition, incident and messages in one transaction. @returns whether the outbox has changed */
  commit(change: HealthCommit): boolean
  /** Takes back what waits to be said about servers that nobody watches any more. */
  dropExcept(watched: ReadonlySet<number>): void
}

/** Reasons are kept as JSON `{code, details}`, so that any reader can have them in any language. */
function reasonText(reason: CodedError | null): string | null {
  return reason === null ? null : JSON.stringify(reason)
}

export function createHealthStore(db: Db): HealthStore {
  return {
    load: (serverId) => {
      const row = db.select().from(serverHealth).where(eq(serverHealth.serverId, serverId)).get()
      return row === undefined ? undefined : parseHealthState(row.state)
    },
    commit: (change) =>
      db.transaction((tx) => {
        const { serverId, state, now } = change
        tx.insert(serverHealth)
          .values({ serverId, state, updatedAt: now })
          .onConflictDoUpdate({ target: serverHealth.serverId, set: { state, updatedAt: now } })
          .run()
        let said = false
        for (const effect of change.effects) said = apply(tx, change, effect) || said
        return said
      }),
    dropExcept: (watched) => dropExcept(db, watched),
  }
}

/** @returns whether the outbox has changed */
function apply(tx: Tx, change: HealthCommit, effect: HealthEffect): boolean {
  const { serverId, serverName, now } = change
  switch (effect.type) {
    case 'transition': {
      const { from, to, at, reason } = effect
      tx.insert(serverTransitions)
        .values({ serverId, from, to, at, reason: reasonText(reason) })
        .run()
      return false
    }
    case 'openIncident': {
      const { kind, reason, since, downSince } = effect
      const incident = tx
        .insert(incidents)
        .values({ serverId, kind, reason: reasonText(reason), openedAt: since })
        .returning({ id: incidents.id })
        .get()
      const payload = { serverId, serverName, state: kind, reason, since: downSince }
      // What is closed can wait for the morning; what is down cannot.
      const silent = kind === 'partly'
      for (const chat of change.chats) {
        enqueue(tx, { chat, key: downKey(incident.id), kind: 'serverDown', payload, silent, now })
      }
      return true
    }
    case 'closeIncident': {
      const incident = tx
        .update(incidents)
        .set({ closedAt: effect.at })
        .where(and(eq(incidents.serverId, serverId), isNull(incidents.closedAt)))
        .returning({ id: incidents.id, kind: incidents.kind })
        .get()
      if (incident === undefined) return false
      if (effect.outcome !== 'recovered') {
        drop(tx, downKey(incident.id))
        return true
      }
      const { kind: state } = incident
      const payload = { serverId, serverName, state, downSince: effect.downSince, upAt: effect.at }
      // Good news to those who had the bad news, without a sound: nothing is to be done any more.
      const told = new Set(chatsWith(tx, downKey(incident.id)))
      for (const chat of change.chats.filter((each) => told.has(each))) {
        enqueue(tx, { chat, key: upKey(incident.id), kind: 'serverUp', payload, silent: true, now })
      }
      return true
    }
    case 'reprobe':
      return false
  }
}
