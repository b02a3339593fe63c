import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'
import { opensClient } from '#test/support/chat.ts'

const DAY = 24 * 60 * 60 * 1000
const GB = 1024 ** 3

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

/** Anna on two servers; the local one has no node behind it here. */
async function withAnna() {
  house.fleet.servers.setEnabled(1, false, { kind: 'system', id: 'test' })
  const servers = [await house.join('de-1', 'main'), await house.join('nl-1', 'main')] as const
  const anna = house.fleet.newClient('anna')
  const targets = servers.map(({ id }) => ({ serverId: id, input: { id: 'main', clients: [anna] } }))
  const actor = { kind: 'system' as const, id: 'test' }
  await (
    await house.fleet.tasks.run({ operation: 'clients.add', targets, actor })
  ).settled
  return servers
}

const rows = (servers: Awaited<ReturnType<typeof withAnna>>) =>
  servers.map((server) => [...house.nodeOf(server).clients.values()][0])

/** From the card to the question about one limit. */
async function asks(kind: string, question: string): Promise<void> {
  const { alice } = house
  await opensClient(alice, 'anna')
  await alice.taps('Limits')
  await alice.seesScreen(/› anna › Limits/)
  await alice.taps(kind)
  await alice.seesScreen(question)
}

const done = (): Promise<unknown> =>
  house.alice.seesScreen(/The limits of anna are changed[^]*Done on 2 of 2/)

describe('limits in the chat', () => {
  test('are changed on all servers of a client: by a button, or typed', async () => {
    const { alice } = house
    const servers = await withAnna()
    await asks('Traffic', 'How much may it use?')
    await alice.taps('50 GB')
    await done()
    expect(rows(servers)).toMatchObject([{ limitBytes: 50 * GB }, { limitBytes: 50 * GB }])

    await asks('Traffic', 'Now: 50 GB')
    await alice.sends('a lot')
    await alice.seesScreen('That is no amount.')
    await alice.sends('1.5 TB')
    await done()
    expect(rows(servers)).toMatchObject([{ limitBytes: 1_536 * GB }, { limitBytes: 1_536 * GB }])

    await asks('Addresses', 'From how many addresses')
    await alice.taps('2 at once')
    await done()
    await asks('Auto-reset', 'counted from zero again every so many days')
    await alice.taps('30 days')
    await done()
    expect(rows(servers)).toMatchObject([
      { ipLimit: 2, resetDays: 30, nextResetAt: expect.any(Number) },
      { ipLimit: 2, resetDays: 30 },
    ])

    await asks('Traffic', 'How much may it use?')
    await alice.taps('No limit')
    await done()
    expect(rows(servers)).toMatchObject([{ limitBytes: null, ipLimit: 2 }, { limitBytes: null }])
  })

  test('an end: days from now, from the first use, a date, never', async () => {
    const { alice } = house
    const servers = await withAnna()
    await asks('Time', 'For how long?')
    await alice.taps('30 days')
    await done()
    const inThirtyDays = Date.now() + 30 * DAY
    const [first] = rows(servers)
    expect(Math.abs((first?.expiresAt ?? 0) - inThirtyDays)).toBeLessThan(60_000)

    await asks('Time', 'For how long?')
    await alice.taps('☐ Days from the first use')
    await alice.seesScreen((message) => message.buttons.flat().includes('☑ Days from the first use'))
    await alice.taps('90 days')
    await done()
    expect(rows(servers)).toMatchObject([{ lastsDays: 90, expiresAt: null }, { lastsDays: 90 }])

    await asks('Time', 'Now: 90 days from the first use')
    await alice.sends('2020-01-01')
    await alice.seesScreen('nor a date to come')
    await alice.sends('2099-12-31')
    await done()
    const end = Date.UTC(2099, 11, 31, 23, 59, 59)
    expect(rows(servers)).toMatchObject([{ lastsDays: null, expiresAt: end }, { expiresAt: end }])

    await asks('Time', 'Now: until 2099-12-31')
    await alice.taps('Never ends')
    await done()
    expect(rows(servers)).toMatchObject([{ expiresAt: null }, { expiresAt: null }])
  })

  test('the card shows what is used up, and why somebody is refused where; a reset counts from zero', async () => {
    const { alice } = house
    const servers = await withAnna()
    await asks('Traffic', 'How much may it use?')
    await alice.taps('10 GB')
    await done()
    const [de, nl] = servers
    house.nodeOf(de).carry('anna', 2 * GB, 2.5 * GB)
    house.nodeOf(nl).carry('anna', 5 * GB, 5 * GB)
    house.nodeOf(nl).block('anna', 'traffic')
    for (const server of servers) {
      const health = { agentVersion: '', xrayVersion: null, lastError: null, time: 0, xrayRunning: true }
      const position = house.nodeOf(server).position()
      await house.fleet.noteHealth(server.id, { status: 'online', ...health, ...position })
    }

    const card = await opensClient(alice, 'anna')
    expect(card.text).toContain('▰▰▰▰▰▰▰▰▰▰ 100% · 10 GB of 10 GB on nl-1')
    expect(card.text).toContain('⛔ Refused: its traffic is used up (nl-1)')
    const limits = card.keyboard.flat().find(({ text }) => text === 'Limits')
    expect(limits?.style).toBe('primary')
    await alice.taps('Limits')
    await alice.seesScreen('Every server counts by itself.')
    await alice.taps('Reset traffic')
    const question = await alice.seesScreen('Count the traffic of anna from zero?')
    expect(question.text).toMatch(/The .*B used so far count no more/)
    await alice.taps('Reset traffic')
    await alice.seesScreen(/The traffic of anna is counted from zero[^]*Done on 2 of 2/)
    await alice.taps('Open client')
    await alice.seesScreen('▱▱▱▱▱▱▱▱▱▱ 0%')
  })

  test('an end that has passed is what the question shows, not that there is none', async () => {
    const { alice } = house
    const servers = await withAnna()
    const input = { email: 'anna', expiresAt: Date.UTC(2026, 0, 2, 12) }
    const targets = servers.map(({ id }) => ({ serverId: id, input }))
    const actor = { kind: 'system' as const, id: 'test' }
    await (
      await house.fleet.tasks.run({ operation: 'clients.update', targets, actor })
    ).settled
    await asks('Time', 'Now: until 2026-01-02')
    await alice.taps('30 days')
    await done()
    for (const row of rows(servers)) expect(row?.expiresAt).toBeGreaterThan(Date.now())
  })

  test('where they differ, that is said, and one change makes them the same', async () => {
    const { alice } = house
    const servers = await withAnna()
    const input = { email: 'anna', limitBytes: 10 * GB }
    const actor = { kind: 'system' as const, id: 'test' }
    await (
      await house.fleet.tasks.run({
        operation: 'clients.update',
        targets: [{ serverId: servers[0].id, input }],
        actor,
      })
    ).settled
    await opensClient(alice, 'anna')
    await alice.taps('Limits')
    await alice.seesScreen('The limits differ between servers.')
    await alice.taps('Traffic')
    await alice.seesScreen('How much may it use?')
    await alice.taps('10 GB')
    await done()
    await opensClient(alice, 'anna')
    await alice.taps('Limits')
    const same = await alice.seesScreen('Every server counts by itself.')
    expect(same.text).not.toContain('differ')
  })
})

describe('limits of a new client', () => {
  test('on several servers: that each counts by itself is said before they are set', async () => {
    const { alice } = house
    for (const name of ['de-1', 'nl-1']) await house.join(name, 'main')
    await alice.sends('/add')
    await alice.seesScreen('What is the client called?')
    await alice.sends('carl')
    await alice.seesScreen('On which servers?')
    await alice.taps('All servers')
    const summary = await alice.seesScreen('Limits: none')
    expect(summary.text).not.toContain('counts by itself')
    await alice.taps('Set limits')
    await alice.seesScreen('Every server counts by itself.')
  })

  async function toSummary(): Promise<void> {
    const { alice } = house
    await house.join('de-1', 'main')
    await alice.sends('/start srv_2')
    await alice.seesScreen(/^Fleet › de-1/)
    await alice.taps('Add client')
    await alice.seesScreen('What is the client called?')
    await alice.sends('carl')
    await alice.seesScreen('Limits: none')
  }
  const carl = () => [...house.nodeOf(house.fleet.servers.get(2)).clients.values()][0]

  test('are none unless they are asked for', async () => {
    await toSummary()
    await house.alice.taps('Create')
    await house.alice.sees(/carl is added/)
    expect(carl()).toMatchObject({ limitBytes: null, expiresAt: null, lastsDays: null, ipLimit: null })
  })

  test('stand on one screen, are tapped or typed, and are on the summary', async () => {
    const { alice } = house
    await toSummary()
    await alice.taps('Set limits')
    const all = await alice.seesScreen('Which limits shall it have?')
    expect(all.text).toContain('Time: no limit')
    await alice.taps('10 GB')
    await alice.seesScreen('Traffic: 10 GB')
    await alice.taps('• 10 GB')
    await alice.seesScreen('Traffic: no limit')
    await alice.taps('100 GB')
    await alice.seesScreen('Traffic: 100 GB')
    await alice.sends('45')
    await alice.seesScreen('Time: 45 days from now')
    await alice.taps('☐ Days from the first use')
    await alice.seesScreen('Time: 45 days from the first use')
    await alice.sends('nonsense')
    await alice.seesScreen('That is no amount')
    await alice.taps('3 at once')
    const chosen = await alice.seesScreen('Addresses: 3 at once')
    expect(chosen.buttons.flat()).toContain('• 100 GB')
    await alice.taps('Done')
    await alice.seesScreen('Limits: 100 GB, 45 days from the first use, 3 addresses')
    await alice.taps('Back')
    await alice.seesScreen('Which limits shall it have?')
    await alice.taps('Done')
    await alice.seesScreen('Limits: 100 GB')
    await alice.taps('Create')
    await alice.sees(/carl is added/)
    expect(carl()).toMatchObject({ limitBytes: 100 * GB, lastsDays: 45, expiresAt: null, ipLimit: 3 })
  })

  test('go on after the controller was killed in the middle', async () => {
    const { alice } = house
    await toSummary()
    await alice.taps('Set limits')
    await alice.seesScreen('Which limits shall it have?')
    await house.kill()
    await alice.taps('50 GB')
    await house.revive()
    await alice.seesScreen('Traffic: 50')
    await alice.taps('Done')
    await alice.seesScreen('Limits: 50')
  })
})
