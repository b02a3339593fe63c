import { readFile } from 'node:fs/promises'
import { type RequestOptions, Agent, request } from 'node:https'
import { FleetError, fail } from '#src/errors.ts'
import { networkWords } from '#src/trust/network-words.ts'
import type { AcmeSettings } from './settings.ts'

/** Authorities answer within seconds; one that is overloaded may take a while. */
const ANSWER_WITHIN_MS = 30_000
/** A chain is some 8 kB, a problem less. */
const MAX_ANSWER_BYTES = 1024 * 1024

export interface AcmeAnswer {
  status: number
  /** By names in lower case; of a repeated one the values, joined. */
  header(name: string): string | undefined
  text: string
}

export interface AcmeHttp {
  /** @throws FleetError ACME_UNREACHABLE, or the reason of the signal */
  send(method: 'GET' | 'HEAD' | 'POST', url: string, body?: string): Promise<AcmeAnswer>
  close(): void
}

/** What an answer holds; an empty object where it holds none. */
export function jsonIn(answer: Pick<AcmeAnswer, 'text'>): object {
  try {
    const parsed: unknown = JSON.parse(answer.text)
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch {
    return {}
  }
}

/**
 * HTTPS to one certificate authority. A connection for each request: a kept one may be closed by the other side in the
 * moment it is used again, and an order is a dozen requests in two months.
 * @param signal ends every request
 * @throws FleetError CONFIG_INVALID when the file of its own certificates cannot be read
 */
export async function openAcmeHttp(settings: AcmeSettings, signal: AbortSignal): Promise<AcmeHttp> {
  const { directory, caFile } = settings
  const agent = new Agent({ keepAlive: false, ...(await trustOf(caFile)) })
  return {
    async send(method, url, body) {
      // The authority names further addresses itself; none of them may be a plain one.
      if (!/^https:\/\//i.test(url))
        fail('ACME_UNREACHABLE', { directory, reason: 'it names an address without TLS' })
      try {
        return await send(url, { method, agent, signal }, body)
      } catch (error) {
        if (signal.aborted) throw signal.reason
        throw new FleetError('ACME_UNREACHABLE', { directory, reason: reasonOf(error) }, { cause: error })
      }
    },
    close: () => agent.destroy(),
  }
}

async function trustOf(caFile: string | undefined): Promise<{ ca?: string }> {
  if (caFile === undefined) return {}
  try {
    return { ca: await readFile(caFile, 'utf8') }
  } catch (cause) {
    return fail(
      'CONFIG_INVALID',
      { file: caFile, key: 'acme.caFile', reason: (cause as Error).message },
      { cause },
    )
  }
}

function send(url: string, options: RequestOptions, body: string | undefined): Promise<AcmeAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        ...options,
        timeout: ANSWER_WITHIN_MS,
        headers: {
          // RFC 8555 asks for one, so that an authority can tell whose program is at fault.
          'user-agent': 'fleetgram',
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/jose+json', 'content-length': Buffer.byteLength(body) }),
        },
      },
      (response) => {
        const parts: Buffer[] = []
        let size = 0
        response.on('data', (part: Buffer) => {
          parts.push(part)
          size += part.length
          if (size > MAX_ANSWER_BYTES) sent.destroy(new Error('its answer is too large'))
        })
        response.once('error', reject)
        response.once('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            header: (name) => [response.headers[name] ?? []].flat().join(', ') || undefined,
            text: Buffer.concat(parts).toString('utf8'),
          }),
        )
      },
    )
    sent.once('error', reject)
    sent.once('timeout', () =>
      sent.destroy(new Error(`it did not answer within ${ANSWER_WITHIN_MS / 1000} s`)),
    )
    sent.end(body)
  })
}

function reasonOf(error: unknown): string {
  // Where several addresses were tried, each has its own; the first is as good as any.
  const first = error instanceof AggregateError ? (error.errors as unknown[])[0] : error
  if (!(first instanceof Error)) return 'the connection failed'
  const code = 'code' in first ? String(first.code) : ''
  return (networkWords[code] ?? (first.message || code)).slice(0, 300)
}
