import { fail } from '#src/errors.ts'
import { connectXrayApi } from './api.ts'
import { lastMeaningfulLine, runXray } from '../programs/command.ts'

// Ten thousand users in one inbound are read and added in about 3 s on two busy cores.
const addInboundTimeoutS = 30

/**
 * Opens an inbound in a running Xray, with the users in it. `xray api adi` does it, since only Xray itself can turn
 * its JSON into its own messages; the JSON goes through a pipe, since it holds keys.
 * @param json the inbound as it would stand in the configuration
 * @throws INBOUND_TAG_TAKEN, PORT_TAKEN, XRAY_UNAVAILABLE, or XRAY_REFUSED with Xray's reason
 */
export async function addInbound(
  binary: string,
  socketPath: string,
  json: { tag: string; port: number; [field: string]: unknown },
): Promise<void> {
  const api = connectXrayApi(socketPath)
  try {
    // Without an Xray there the command would wait for one until its time is over.
    await api.uptime()
    const args = ['api', 'adi', `--server=unix:${socketPath}`, `--timeout=${addInboundTimeoutS}`, 'stdin:']
    const { exitCode, output } = await runXray(binary, args, {
      input: JSON.stringify({ inbounds: [json] }),
      // A little longer than Xray's own limit, so that its words are heard.
      timeoutMs: (addInboundTimeoutS + 5) * 1000,
    })
    if (exitCode === 0) return
    if (/existing tag found/.test(output)) fail('INBOUND_TAG_TAKEN', { tag: json.tag })
    // After a refused inbound Xray keeps its tag, without a listener, and would call a second try a duplicate.
    await api.removeInbound(json.tag)
    if (/address already in use/.test(output)) fail('PORT_TAKEN', { port: json.port, by: 'another program' })
    fail('XRAY_REFUSED', { reason: lastMeaningfulLine(output) })
  } finally {
    api.close()
  }
}
