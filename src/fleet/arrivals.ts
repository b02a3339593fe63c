import type { Journal, TaskRow } from './journal.ts'
import type { Arrival } from './people.ts'

/**
 * Clients that servers are told of, and which the mirror may not show: from the moment a change is asked for until
 * the server was looked at after it had answered. Whoever deletes a client everywhere must not miss these.
 */
export function createArrivals(journal: Pick<Journal, 'openOf' | 'unseen'>) {
  /** Answered, and not seen since, by server. */
  const unseen = new Map<number, Map<string, TaskRow>>()

  /** The server has carried it out. */
  function applied(task: TaskRow): void {
    if (task.operation !== 'clients.add') return
    const tasks = unseen.get(task.serverId) ?? new Map<string, TaskRow>()
    unseen.set(task.serverId, tasks)
    tasks.set(task.id, task)
  }

  return {
    applied,

    /** What the process before had not seen any more. */
    start(): void {
      for (const task of journal.unseen('clients.add')) applied(task)
    },

    /** Whether a look at the server is owed, even if its position seems to be known. */
    isOwed: (serverId: number): boolean => unseen.has(serverId),

    /** A look at the server begins. @returns to be called when the mirror has what was seen */
    look(serverId: number): () => void {
      const before = [...(unseen.get(serverId)?.keys() ?? [])]
      return () => {
        const tasks = unseen.get(serverId)
        for (const id of before) tasks?.delete(id)
        if (tasks?.size === 0) unseen.delete(serverId)
      }
    },

    forget: (serverId: number): void => void unseen.delete(serverId),

    list(): Arrival[] {
      const answered = [...unseen.values()].flatMap((tasks) => [...tasks.values()])
      return [...journal.openOf('clients.add'), ...answered].map(({ serverId, input }) => ({
        serverId,
        emails: (input as { clients: { email: string }[] }).clients.map(({ email }) => email),
      }))
    },
  }
}
