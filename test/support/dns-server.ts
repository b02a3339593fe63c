import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

const A = 1
const NO_ERROR = 0x8180
const NO_SUCH_NAME = 0x8183
/** s */
const LIFE = 1

export interface DnsServer {
  /** host:port */
  address: string
  /** Every name it was asked for, in order. */
  asked: string[]
  /** Nobody gets an answer from now on, until the returned function is called. */
  hold(): () => void
  stop(): Promise<void>
}

/**
 * A name server on loopback for whom all names lead to one IPv4 address, but those under `.invalid`, which it does not
 * know. By TCP, which is how Pebble asks.
 */
export async function startDnsServer(leadsTo: string): Promise<DnsServer> {
  let held: (() => void)[] | undefined
  const listener = createServer((socket) => {
    let received = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (part) => {
      received = Buffer.concat([received, part])
      // Each message is preceded by its length.
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0)
        const query = received.subarray(2, end)
        received = received.subarray(end)
        const question = questionOf(query)
        server.asked.push(question.name)
        const answer = (): void => void socket.write(framed(answerTo(query, question, leadsTo)))
        if (held === undefined) answer()
        else held.push(answer)
      }
    })
  })
  const server: DnsServer = {
    address: '',
    asked: [],
    hold() {
      held = []
      return () => {
        const waiting = held ?? []
        held = undefined
        for (const answer of waiting) answer()
      }
    },
    async stop() {
      listener.close()
      await once(listener, 'close')
    },
  }
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  server.address = `127.0.0.1:${(listener.address() as AddressInfo).port}`
  return server
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

interface Question {
  name: string
  type: number
  /** Where it ends. */
  end: number
}

/** The first question of a query, which is the only one anybody sends (RFC 1035, section 4.1). */
function questionOf(query: Buffer): Question {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function answerTo(query: Buffer, { name, type, end }: Question, leadsTo: string): Buffer {
  const known = !name.endsWith('.invalid')
  const record = Buffer.alloc(16)
  // The name is the question's, by reference; class IN.
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(A, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(LIFE, 6)
  record.writeUInt16BE(4, 10)
  record.set(leadsTo.split('.').map(Number), 12)
  const answers = known && type === A ? [record] : []
  const head = Buffer.alloc(12)
  head.writeUInt16BE(query.readUInt16BE(0), 0)
  head.writeUInt16BE(known ? NO_ERROR : NO_SUCH_NAME, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(answers.length, 6)
  return Buffer.concat([head, query.subarray(12, end), ...answers])
}
