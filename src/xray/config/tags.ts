/** The inbound, the way out and the rule by which we talk to Xray. Whoever gets there commands this Xray. */
export const apiTag = 'api'

/** Tags fleetgram gives to parts of its own in every configuration. */
export const reservedTags = [apiTag, 'direct', 'blocked'] as const
