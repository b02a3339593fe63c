/** Traffic of many clients: each sends a few bytes through a plain VLESS inbound to an echo, and reads them back. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { mapLimited } from '#src/xray/api/concurrency.ts'

const PAYLOAD = Buffer.alloc(100, 'x')
/** What Xray says before the first byte of the answer: the version, and that nothing more is said. */
const ANSWER_HEAD_BYTES = 2
/** Beyond this Xray gets no faster. */
const AT_ONCE = 64

/** Lets each of these clients send and receive a little, on a connection of its own. */
export async function sendTraffic(port: number, uuids: readonly string[]): Promise<void> {
  const echo = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const target = (echo.address() as AddressInfo).port
  try {
    await mapLimited(uuids, AT_ONCE, (uuid) => sendThrough(port, uuid, target))
  } finally {
    echo.close()
  }
}

function sendThrough(port: number, uuid: string, target: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port })
    let missing = ANSWER_HEAD_BYTES + PAYLOAD.length
    socket.once('connect', () => socket.write(Buffer.concat([request(uuid, target), PAYLOAD])))
    socket.on('data', (bytes) => {
      missing -= bytes.length
      if (missing > 0) return
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed without an answer')))
  })
}

/** VLESS, version 0: who it is, no addons, a TCP connection (1) to this port, of an IPv4 address (1). */
function request(uuid: string, port: number): Buffer {
  const id = Buffer.from(uuid.replaceAll('-', ''), 'hex')
  return Buffer.from([0, ...id, 0, 1, port >> 8, port & 0xff, 1, 127, 0, 0, 1])
}
