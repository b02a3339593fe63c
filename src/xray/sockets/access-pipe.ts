/**
 * Who is connected from which port: Xray tells that in its access log alone, beside where they go. So that where
 * people go is written down nowhere, the log is no file but a named pipe. What comes out of it is looked at once and
 * forgotten; while nobody reads, Xray drops what it would have said. It never waits for a reader (measured with
 * 26.3.27, src/xray/access-pipe.test.ts) but in one case: opening the pipe for the first time, as it starts. Only we
 * start it, and we hold the pipe open before we do.
 */
import { constants, closeSync, openSync } from 'node:fs'
import { lstat, mkdir, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import { findSystemProgram, runSystemProgram } from './system-program.ts'

/** One connection of a client: its name in Xray, and where it comes from. */
export interface SeenConnection {
  name: string
  /** IPv6 without brackets. */
  address: string
  port: number
}

// `2026/11/25 19:32:49.987617 from 127.0.0.9:52899 accepted tcp:example.com:443 [in >> out] email: anna#12`
const line = /^\S+ \S+ from (?:tcp:)?(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5}) accepted .* email: (.+)$/

/** What a line of the log says of a client's connection. null: it is of something else, or the port is not known. */
export function parseAccessLine(text: string): SeenConnection | null {
  const [, ipv6, ipv4, port = '0', name = ''] = line.exec(text) ?? []
  const address = ipv6 ?? ipv4
  // Behind a web server Xray believes its X-Forwarded-For, which names no port.
  return address === undefined || port === '0' ? null : { name, address, port: Number(port) }
}

/** The longest line there can be is a name of 253 characters and a client's of 64, and not half as long. */
const MAX_LINE = 4_096

/** Puts pieces together to lines. Keeps no more than one that has not ended. */
function lineReader(onLine: (line: string) => void): (piece: string) => void {
  let rest = ''
  return (piece) => {
    const lines = (rest + piece).split('\n')
    rest = (lines.pop() ?? '').slice(0, MAX_LINE)
    for (const each of lines) onLine(each)
  }
}

export interface AccessPipe {
  close(): void
}

/** For writing too: so it never ends, however often Xray opens and closes its own end. */
const openBothEnds = (path: string): number => openSync(path, constants.O_RDWR | constants.O_NONBLOCK)

/** Whether a pipe lies there, which an Xray may have been told of. */
export async function isPipe(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isFIFO(),
    () => false,
  )
}

/** Holds a pipe open, where there is one, so that an Xray told of it can start though nobody reads. */
export async function holdPipe(path: string): Promise<AccessPipe> {
  if (!(await isPipe(path))) return { close: () => undefined }
  const fd = openBothEnds(path)
  return { close: () => closeSync(fd) }
}

/**
 * Makes the pipe if need be, and reads what comes until it is closed.
 * @throws where the system cannot make one
 */
export async function openAccessPipe(
  path: string,
  onSeen: (seen: SeenConnection) => void,
): Promise<AccessPipe> {
  if (!(await isPipe(path))) {
    const mkfifo = await findSystemProgram('mkfifo')
    if (mkfifo === null) throw new Error('this system has no mkfifo')
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    // Anything else of that name would keep the record we do not want.
    await rm(path, { force: true })
    await runSystemProgram(mkfifo, ['-m', '600', path])
  }
  const fd = openBothEnds(path)
  let socket: Socket
  try {
    socket = new Socket({ fd, readable: true, writable: false })
  } catch (error) {
    closeSync(fd)
    throw error
  }
  const read = lineReader((text) => {
    const seen = parseAccessLine(text)
    if (seen !== null) onSeen(seen)
  })
  // A domain is never anything but ASCII there, and half a character must not become two.
  socket.setEncoding('latin1')
  socket.on('data', (piece: string) => read(piece))
  socket.on('error', () => undefined)
  socket.unref()
  return { close: () => void socket.destroy() }
}
