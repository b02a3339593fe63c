import { z } from 'zod'
import { isHost } from './address.ts'

/** A certificate request of a P-256 key has some 500 bytes; this is room, and well within the limit of the body. */
const MAX_CSR = 4_096

/** What a machine sends to POST /join. */
export const joinRequest = z.strictObject({
  id: z.string().min(1).max(64),
  secret: z.string().min(1).max(128),
  /** PKCS #10, PEM. Only its key is used. */
  csr: z.string().min(1).max(MAX_CSR),
  /** The port the agent listens on. */
  port: z.number().int().min(1).max(65_535),
  /** The server it is already, in this same fleet: then it wants a new certificate, not to become another. */
  as: z.number().int().positive().optional(),
  /** Where it can be reached, if that is not where the request comes from. */
  publicAddress: z.string().refine(isHost, 'a host name or an IP address is wanted').optional(),
})

/** What it gets. */
export const joinAnswer = z.object({
  serverId: z.number().int().positive(),
  /** PEM */
  certificate: z.string(),
  /** The host the controller will reach it at: what share links name, unless the agent is told better. */
  address: z.string().refine(isHost),
})

/** A refusal. */
export const joinRefusal = z.object({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
})
