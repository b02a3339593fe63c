/** The process of an Xray in memory: when it runs, and with what. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { RenderedConfig } from '#src/xray/config/diff.ts'
import type { XrayChange, XrayProcess } from '#src/xray/life/process.ts'

export interface FakeLife {
  process: XrayProcess
  isRunning(): boolean
  /** How often it has been started. */
  starts(): number
  /** It ends without being asked, and nobody has started it again yet. */
  die(): void
  /** Whoever looks after it starts it again: it is told now what it is to be, and is so a little later. */
  revive(): void
  /** Nobody looks after it now. */
  orphan(): void
}

/** Turns of the event loop, in which other things happen. */
const TURNS_TO_START = 3

/** @param become called when it begins to run with a configuration */
export function createFakeLife(become: (config: RenderedConfig) => void): FakeLife {
  let [running, starts] = [false, 0]
  let file: object | null = null
  let rendering: (() => object) | undefined
  let tell: (change: XrayChange) => void = () => undefined
  let lastAct = async (): Promise<void> => undefined
  let starting: Promise<void> | null = null

  async function run(config: RenderedConfig): Promise<void> {
    for (let turn = 0; turn < TURNS_TO_START; turn++) await nextTurn()
    starting = null
    become(config)
    running = true
    starts++
    tell({ type: 'up', pid: starts, lastError: null })
  }

  /** Rendered first and running later, as the real one, which takes the longer the more users there are. */
  function begin(render: () => object): Promise<void> {
    file = render()
    starting = run(file as RenderedConfig)
    return starting
  }

  const settled = async (): Promise<void> => starting ?? undefined

  return {
    isRunning: () => running,
    starts: () => starts,
    die() {
      running = false
      tell({ type: 'down', reason: 'it was ended by SIGKILL', restartInMs: 1_000 })
    },
    revive() {
      if (!running && starting === null && rendering !== undefined) void begin(rendering)
    },
    orphan() {
      rendering = undefined
    },
    process: {
      watch(listener) {
        tell = listener
      },
      setRender(render) {
        rendering = render
      },
      setLastAct(act) {
        lastAct = act
      },
      async start(render) {
        await settled()
        if (!running) await begin(render)
      },
      startAsIs: async () => undefined,
      holdBack: () => undefined,
      release: () => undefined,
      acceptConfig: () => undefined,
      async adopt() {
        await settled()
        return running
      },
      async writeConfig(json) {
        await settled()
        file = json
      },
      async refreshConfig(json) {
        file = json
      },
      readConfig: async () => file,
      async stop() {
        await settled()
        await lastAct()
        running = false
      },
      async restart(render) {
        await settled()
        await lastAct()
        running = false
        await begin(render)
      },
      state: () => ({
        running,
        pid: running ? starts : null,
        startedAt: running ? `start ${starts}` : null,
        lastError: null,
        onPreviousConfig: false,
        heldBack: [],
      }),
      settled,
      noticeEnd: settled,
      detach: async () => undefined,
    },
  }
}
