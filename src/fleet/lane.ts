/** What is known of the carrying out of one server's tasks, for as long as this process lives. */
export interface Lane {
  busy: boolean
  done: Promise<void>
  /** Someone has heard of the server: back-off does not count. */
  kicked: boolean
  /** What is pending waits for the server, or for its time. */
  waiting: boolean
  timer: AbortController | null
  call: AbortController | null
}

export function createLane(): Lane {
  return { busy: false, done: Promise.resolve(), kicked: false, waiting: false, timer: null, call: null }
}
