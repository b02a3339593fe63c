import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BotHouse, openBotHouse } from '#test/support/bot-house.ts'

let house: BotHouse

beforeEach(async () => {
  house = await openBotHouse()
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(house.log.join('\n'))
  await house.end()
})

describe('a fresh controller', () => {
  test('has one server, so home is that server and nothing asks which', async () => {
    const { alice } = house
    await alice.sends('/start')
    const screen = await alice.seesScreen('Default Local Server')
    expect(screen.text).toMatch(/^Fleet › Default Local Server/)
    expect(screen.buttons.flat()).toContain('Add server')
    expect(screen.buttons.flat()).not.toContain('Servers')
  })
})
