import { z } from 'zod'
import { read } from './meta.ts'
import { bytes, wholeNumber } from './primitives.ts'

const counters = {
  /** Lifetime bytes from clients into this server. Reading never resets them. */
  up: bytes,
  /** Lifetime bytes from this server to clients. */
  down: bytes,
}

export const traffic = {
  total: read
    .route({ method: 'GET', path: '/traffic', summary: 'Lifetime traffic of this server' })
    .output(z.object({ ...counters, epoch: z.string() })),
  clients: read
    .route({ method: 'GET', path: '/traffic/clients', summary: 'Lifetime traffic per client' })
    .output(z.array(z.object({ email: z.string(), ...counters }))),
  outbounds: read
    .route({ method: 'GET', path: '/traffic/outbounds', summary: 'Lifetime traffic per outbound' })
    .output(z.array(z.object({ tag: z.string(), ...counters }))),
  days: read
    .route({
      method: 'GET',
      path: '/traffic/days',
      summary:
        'Traffic by day (UTC), oldest first: of a client, an inbound, an outbound, or all of this server',
    })
    .input(
      z.strictObject({
        of: z.enum(['server', 'client', 'inbound', 'outbound']).default('server'),
        /** The client's name, the inbound's id or tag, the outbound's tag; for the server nothing. */
        name: z.string().min(1).max(64).optional(),
        /** How many days back, today included. */
        days: wholeNumber.pipe(z.number().min(1).max(400)).default(30),
      }),
    )
    .output(z.array(z.object({ day: z.iso.date(), ...counters }))),
}
