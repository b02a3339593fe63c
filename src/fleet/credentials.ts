import { type ClientInput, clientInput, describeIssue } from '#src/contract/index.ts'
import { fail } from '#src/errors.ts'
import { type Runtime, randomId } from '#src/runtime.ts'

/**
 * A new client with credentials of its own, made here once for the whole fleet: the same client everywhere, and its
 * links are known before every server has been reached.
 * @throws FleetError BAD_INPUT where the name cannot be one
 */
export function newClient(runtime: Pick<Runtime, 'uuid' | 'randomBytes'>, email: string): ClientInput {
  const parsed = clientInput.safeParse({
    email,
    uuid: runtime.uuid(),
    // 128 bits: the name of a subscription is all that protects it.
    subscriptionId: randomId(runtime, 128),
  })
  if (!parsed.success) fail('BAD_INPUT', describeIssue(parsed.error.issues[0]))
  return parsed.data
}
