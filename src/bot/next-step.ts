import type { Fleet } from '#src/fleet/types.ts'

/** What is to be added next: a client, or what it could connect to. */
export type NextStep = 'addInbound' | 'addClient'

/** Without an inbound a client is of no use. One that waits for its server counts: clients follow it there. */
export function nextStep({ view }: Pick<Fleet, 'view'>, serverIds: number[]): NextStep {
  return view.tags(serverIds).length > 0 ? 'addClient' : 'addInbound'
}

/** The button of what comes next stands out. */
export function styleOf(step: NextStep, next: NextStep): 'primary' | undefined {
  return step === next ? 'primary' : undefined
}
