import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Connection, connectAgent } from '#src/connectors/factory.ts'
import { systemRuntime } from '#src/runtime.ts'
import { writeIdentity } from '#src/trust/agent-identity.ts'
import { program } from './process.ts'
import type { TestFleetCa } from './test-fleet-ca.ts'
import { xrayBinary } from './xray-binary.ts'
import { freePort } from './xray-client.ts'

/** An agent as it is shipped, in a process of its own, and the way to it that a controller has. */
export interface ShippedAgent {
  connection: Connection
  /** What it has said. */
  output(): string
  /** Ends it, its Xray, and its files. */
  stop(): Promise<void>
}

/** @param env what it is told beside where it listens */
export async function startShippedAgent(
  trust: TestFleetCa,
  serverId: number,
  env: Record<string, string>,
): Promise<ShippedAgent> {
  const dir = await mkdtemp(join(tmpdir(), 'shipped-'))
  const identity = await trust.certify(serverId)
  await writeFile(join(dir, 'agent.key'), identity.keyPem, { mode: 0o600 })
  writeIdentity(dir, { serverId, address: '127.0.0.1', ...identity })
  // Found on PATH, for one that the environment names is not replaced by another that is installed.
  await mkdir(join(dir, 'bin'))
  await symlink(xrayBinary(), join(dir, 'bin/xray'))
  const port = await freePort()
  const agent = program('agent', {
    PATH: `${join(dir, 'bin')}:/usr/bin:/bin`,
    HOME: dir,
    FLEETGRAM_AGENT_DATA: dir,
    FLEETGRAM_AGENT_LISTEN: `127.0.0.1:${port}`,
    FLEETGRAM_AGENT_KEEP_XRAY: 'false',
    FLEETGRAM_AGENT_ALLOW_PRIVATE_TARGETS: 'true',
    ...env,
  })
  agent.start()
  await agent.says(/the agent is ready/)

  const endpoint = `https://127.0.0.1:${port}`
  const { secureContext, identities } = trust
  const isAllowed = (hash: string, id: number): boolean => identities.isAllowed(hash, id)
  const connection = connectAgent({ endpoint, serverId, secureContext, isAllowed }, systemRuntime())
  return {
    connection,
    output: () => agent.output(),
    async stop() {
      await connection.close()
      await agent.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
