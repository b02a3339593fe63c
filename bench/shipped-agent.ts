/** The agent as it is shipped, bundle and launcher, over a database that is there already. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { systemRuntime } from '#src/runtime.ts'
import type { Sqlite } from '#src/store/open.ts'
import { loadOrCreateAgentKey, writeIdentity } from '#src/trust/agent-identity.ts'
import { createXrayProcess } from '#src/xray/life/process.ts'
import { silentLog } from '#test/support/silent-log.ts'
import { createTestFleetCa, newRequest } from '#test/support/test-fleet-ca.ts'
import { fixedProgram } from '#src/xray/programs/program.ts'
import { freePort } from '#test/support/xray-client.ts'

const root = join(import.meta.dirname, '..')
const SERVER_ID = 2

/**
 * Starts the agent with a copy of a node's rows, which starts an Xray, and leaves both alone for a while.
 * @param node its database, and the key of what is sealed in it
 * @param restSeconds how long
 * @returns what each then holds in memory, MB as the kernel counts them
 */
export async function memoryAtRest(
  binary: string,
  node: { db: Sqlite; key: Buffer },
  restSeconds: number,
): Promise<{ agent: number; xray: number }> {
  const dir = await mkdtemp(join(tmpdir(), 'fleetgram-bench-'))
  const [dist, data] = [join(dir, 'dist'), join(dir, 'data')]
  const xray = createXrayProcess({
    program: fixedProgram(binary),
    dir: join(data, 'xray'),
    runtime: systemRuntime(),
    log: silentLog(),
  })
  try {
    await promisify(execFile)(process.execPath, [join(root, 'build.ts'), '--out', dist], { cwd: root })
    await mkdir(data)
    node.db.prepare('vacuum into ?').run(join(data, 'agent.db'))
    await giveIdentity(data)
    const agent = await startAgent(join(dist, 'fleetgram'), {
      PATH: '/usr/bin:/bin',
      NODE: process.execPath,
      XRAY_BIN: binary,
      FLEETGRAM_KEY: node.key.toString('hex'),
      FLEETGRAM_AGENT_DATA: data,
      FLEETGRAM_AGENT_LISTEN: `127.0.0.1:${await freePort()}`,
    })
    try {
      await sleep(restSeconds * 1000)
      const { pid } = JSON.parse(await readFile(join(data, 'xray/xray.pid.json'), 'utf8')) as { pid: number }
      return { agent: await resident(agent.pid), xray: await resident(pid) }
    } finally {
      agent.kill('SIGTERM')
      await once(agent, 'exit')
    }
  } finally {
    await xray.stop()
    await xray.detach()
    await rm(dir, { recursive: true, force: true })
  }
}

/** As after joining: a key, and the certificate of a fleet for it. */
async function giveIdentity(data: string): Promise<void> {
  const trust = await createTestFleetCa()
  const { csrPem } = await newRequest(loadOrCreateAgentKey(data))
  const { certificatePem } = await trust.ca.issueServerLeaf(csrPem, SERVER_ID)
  writeIdentity(data, {
    serverId: SERVER_ID,
    address: '127.0.0.1',
    certificatePem,
    caPem: trust.ca.certificatePem,
  })
  await trust.close()
}

/** Resolves when it says that it is ready. */
async function startAgent(program: string, env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(program, ['agent'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes('the agent is ready')) resolve()
      })
    }
    child.once('exit', () => reject(new Error(`the agent ended: ${said}`)))
  })
  return child
}

async function resident(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
