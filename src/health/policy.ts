/** When a server is called down, and when it is called well again. All times in ms. */
export interface HealthPolicy {
  /** How long one probe of a sweep may take. */
  probeTimeoutMs: number
  /** From one probe of a suspect to the next, start to start. */
  reprobeEveryMs: number
  /** How long one probe of a suspect may take. */
  reprobeTimeoutMs: number
  /** Unanswered probes in a row before a server is offline. */
  offlineMisses: number
  /** How long a server must have been silent before it is offline, from the first unanswered probe to the latest. */
  offlineAfterMs: number
  /** Answers in a row that say Xray is down before a server is in error. */
  errorAnswers: number
  /** Good answers in a row before a server that was offline or in error is online. */
  onlineAnswers: number
  /** How far apart the first and the last of such answers must be at least. */
  answersApartMs: number
  /** After the controller's start, and after a server's first answer, nothing is called down for so long. */
  startupGraceMs: number
}

/** Between two sweeps: with the confirmation below, a dead server is reported within a minute or so. */
export const SWEEP_EVERY_MS = 30_000

export const defaultHealthPolicy: HealthPolicy = {
  // A busy server on a bad line answers within seconds; a sweep of silent ones still ends well before the next.
  probeTimeoutMs: 10_000,
  // Often enough that six fit into the 25 s below, rare enough to be no burden on a server that is struggling.
  reprobeEveryMs: 5_000,
  // Shorter than the pause between two, so that probes of one server never pile up.
  reprobeTimeoutMs: 4_000,
  // One lost packet or one restart of the agent is no outage; three in a row rarely are an accident.
  offlineMisses: 3,
  // A reboot of an agent, a route that flaps: gone within 25 s. It makes a refused port no quicker than a silent
  // one. Counted from the first missed probe, not from the last answer: that may be a whole sweep older, and a
  // blip of ten seconds would then pass for an outage of forty.
  offlineAfterMs: 25_000,
  // The first may fall into a restart of Xray, which takes about a second; the next comes five seconds later.
  errorAnswers: 2,
  // A server that answers once and dies again is not back.
  onlineAnswers: 2,
  // What is pushed makes us look at once, and again a second later: that says no more than one answer. Less than the
  // pause between two probes of a suspect, so that these always are far enough apart.
  answersApartMs: 4_000,
  // After a reboot of the whole machine the network, the agents and the local Xray need about this long.
  startupGraceMs: 60_000,
}
