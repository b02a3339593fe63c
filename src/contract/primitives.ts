import { z } from 'zod'

/** Milliseconds since the epoch. */
export const timestamp = z.number().int().nonnegative()

/** A count of bytes. Up to 2^53 (9 PB), the largest whole number JSON carries exactly. */
export const bytes = z.number().int().nonnegative()

/** A whole number that may also come as digits, as it does in a query string. */
export const wholeNumber = z.union([
  z.number().int().nonnegative(),
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
])

export const trueOrFalse = z.union([
  z.boolean(),
  z.enum(['true', 'false']).transform((value) => value === 'true'),
])

/** A TCP or UDP port. Xray itself accepts 99999 and listens on 34463, so this check is ours. */
export const port = z.number().int().min(1).max(65_535)

/** An inbound's tag: letters first, so that it can never be mistaken for an id. */
export const tag = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z][A-Za-z0-9._-]*$/, 'letters, digits, dot, dash and underscore, a letter first')

/**
 * Names an inbound: by its id on this server, or by its tag, which can be the same on every server of a fleet
 * and is known before the inbound has reached the server.
 */
export const inboundRef = z.union([z.string().regex(/^\d{1,15}$/), tag])

// Control characters, line breaks, half characters, those of no meaning of their own, and what turns the direction of
// a line for all that follows: a text with one of them cannot be shown among others.
const unsafeInLine = /[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u
const visible = /[^\p{C}\p{Z}\p{M}]/u

/** One line that can be shown anywhere; may be empty. Right-to-left names and emoji are lines like any other. */
export const isLine = (value: string): boolean => !unsafeInLine.test(value)

/** A line of which something is to be seen. */
export const isName = (value: string): boolean => isLine(value) && visible.test(value)

/** A client's name, called email in Xray: unique per server without regard to case. */
export const email = z
  .string()
  .trim()
  .min(1)
  .max(64)
  .refine(isName, 'something to be seen, and no control characters')
  // Xray's separator in the names of its counters.
  .refine((value) => !value.includes('>>>'), 'no >>>')
  .refine((value) => !value.includes('/'), 'no slash')
  // As a step of a path these two would be taken for a walk through it, even when percent-encoded.
  .refine((value) => value !== '.' && value !== '..', 'more than dots')

/** One line of text for people. */
export const remark = z.string().trim().max(128).refine(isLine, 'no control characters')

/** One spelling for each address: an IPv6 address has many, and an URL's host has one. Others stay as they are. */
export const oneSpelling = (address: string): string =>
  address.includes(':') ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address

/** An IP address to listen on. */
export const listenAddress = z.union([z.ipv4(), z.ipv6()])
