/** What an admin does in the chat, in the words of the chat: used by the stories. */
import type { User } from '#src/playground/user.ts'
import type { SeenMessage } from '#src/playground/view.ts'
import type { Machine, World } from './world.ts'

const everyLink = /vless:\/\/\S+/g

/** The share links in a message, by the name of the server in front of each. */
export function linksIn(message: SeenMessage): string[] {
  return message.text.match(everyLink) ?? []
}

/** Adds a server in the chat and runs its join command on a machine. Ends on the screen of the new server. */
export async function joins(world: World, name: string): Promise<Machine> {
  const { alice } = world
  await alice.sends('/server')
  await alice.sees('What is the new server called?')
  await alice.sends(name)
  await alice.sees(`Where is ${name}?`)
  await alice.taps('Skip')
  const screen = await alice.sees('Waiting for it to join')
  const token = /join '(fg1\.[^']+)'/.exec(screen.text)?.[1]
  if (token === undefined) throw new Error(`no join command in: ${screen.text}`)
  const machine = world.machine(name)
  machine.program.start('join', token)
  await alice.sees((message) => message.text.includes(name) && message.text.includes('Online'), {
    timeoutMs: 40_000,
  })
  return machine
}

/** Adds a plain inbound to every server. */
export async function addsInboundEverywhere(
  alice: User,
  inbound: { tag: string; port: number },
): Promise<void> {
  await asksForInboundEverywhere(alice, inbound)
  await alice.taps('Create')
}

/**
 * Walks through "Add inbound" for all servers up to the summary; the last tap is the caller's. Plain, unless a template
 * that borrows a `site` is named.
 */
export async function asksForInboundEverywhere(
  alice: User,
  { tag, port, reality }: { tag: string; port: number; reality?: { template: string; site: string } },
): Promise<void> {
  await alice.sends('/inbound')
  await alice.sees('How shall clients connect?')
  if (reality === undefined) {
    await alice.taps('More…')
    await alice.sees('VLESS, plain')
    await alice.taps('VLESS, plain')
  } else {
    await alice.taps(reality.template)
  }
  await alice.sees('On which port?')
  await alice.sends(String(port))
  await alice.sees('What is the inbound called?')
  await alice.sends(tag)
  if (reality !== undefined) {
    await alice.sees('Which site shall it look like?')
    await alice.sends(reality.site)
  }
  await alice.sees('On which servers?')
  await alice.taps('All servers')
  await alice.sees(`Name: ${tag}`)
}

/**
 * Walks through "Add client" for all servers up to the summary; the last tap is the caller's.
 * @param inbound where there are several
 */
export async function asksForClientEverywhere(alice: User, name: string, inbound?: string): Promise<void> {
  await alice.sends('/add')
  await alice.sees('What is the client called?')
  await alice.sends(name)
  await alice.sees('On which servers?')
  await alice.taps('All servers')
  if (inbound !== undefined) {
    await alice.sees('Through which inbounds?')
    await alice.taps(({ text }) => text.includes(inbound))
    await alice.sees(
      (message) => message.text.includes('Through which') && message.buttons.flat().includes('Continue (1)'),
    )
    await alice.taps('Continue (1)')
  }
  await alice.sees(`Name: ${name}`)
}

/** The card of a client, opened by searching for its name. */
export async function opensClient(alice: User, name: string): Promise<SeenMessage> {
  const asked = await alice.sends(`/find ${name}`)
  return alice.seesScreen(
    ({ messageId, text }) =>
      messageId > asked.messageId && text.includes(`› ${name}`) && text.includes('Traffic'),
  )
}

/** Walks through "Add inbound" for Trojan with the certificate of a domain, on all servers, up to the summary. */
export async function asksForTrojanEverywhere(alice: User, domain: string): Promise<void> {
  await alice.sends('/inbound')
  await alice.seesScreen('How shall clients connect?')
  await alice.taps('Trojan + TLS')
  await alice.seesScreen('On which port?')
  await alice.taps('443')
  await alice.seesScreen('What is the inbound called?')
  await alice.taps('trojan-443')
  await alice.seesScreen('Which certificate')
  await alice.sends(domain)
  await alice.seesScreen('On which servers?')
  await alice.taps('All servers')
}
