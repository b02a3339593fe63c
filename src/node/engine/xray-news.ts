import type { XrayProcess } from '#src/xray/life/process.ts'
import type { Events } from '../events/events.ts'
import { lastLines } from '../logs/log-lines.ts'

/** Enough to see why it ended; it often says so in one line, and a crash begins with the reason. */
const LAST_LINES = 10
const LINE_CHARS = 300

/** Tells what becomes of Xray to whoever reads along, in order. @param output what it printed since its last start */
export function tellOfXray(process: XrayProcess, output: string, events: Events): void {
  let telling: Promise<void> = Promise.resolve()
  process.watch((change) => {
    telling = telling.then(async () => {
      if (change.type === 'up') return events.publish({ type: 'xrayUp', lastError: change.lastError })
      // One that was stopped has said nothing of interest.
      const lines =
        change.restartInMs === null ? [] : await lastLines([output], { lines: LAST_LINES }).catch(() => [])
      const short = lines.map((text) => text.slice(0, LINE_CHARS))
      events.publish({ type: 'xrayDown', reason: change.reason.slice(0, LINE_CHARS), lines: short })
    })
  })
}
