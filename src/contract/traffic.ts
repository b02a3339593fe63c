import { z } from 'zod'
import { read } from './meta.ts'
import { bytes } from './primitives.ts'

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
}
