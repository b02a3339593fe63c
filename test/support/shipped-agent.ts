import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRemoteConnector } from '#src/connectors/remote.ts'
import type { Connection } from '#src/connectors/factory.ts'
import { directDispatcher, fileDispatcher, streamDispatcher } from '#src/connectors/transport.ts'
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
  const way = { endpoint, serverId, secureContext, isAllowed }
  const [dispatcher, streams, files] = [directDispatcher(way), streamDispatcher(way), fileDispatcher(way)]
  const connector = createRemoteConnector({ endpoint, dispatcher, streams, files, runtime: systemRuntime() })
  const close = async (): Promise<void> => {
    await Promise.all([dispatcher, streams, files].map((each) => each.destroy()))
  }
  return {
    connection: { ...connector, close },
    output: () => agent.output(),
    async stop() {
      await close()
      await agent.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
