import { describe, expect, test } from 'vitest'
import { type Circumstances, type Known, decideFates } from './fates.ts'

const row = (id: number, name: string, createdAt = id * 10): Known => ({ id, name, createdAt })

function fates(given: Partial<Circumstances> & Pick<Circumstances, 'theirs' | 'ours'>) {
  const whole: Circumstances = {
    sameLine: true,
    buried: new Set(),
    isDeleted: () => false,
    isSame: () => true,
    ...given,
  }
  return Object.fromEntries(decideFates(whole))
}

describe('in one line of databases', () => {
  test('an id is a row for ever, whatever it is called', () => {
    expect(fates({ theirs: [row(1, 'a'), row(2, 'b')], ours: [row(1, 'z'), row(3, 'c')] })).toEqual({
      1: { to: 'over', id: 1 },
      2: { to: 'add', id: 2 },
    })
  })

  test('what was deleted here is not added', () => {
    expect(fates({ theirs: [row(1, 'a'), row(2, 'b')], ours: [], buried: new Set([2]) })).toEqual({
      1: { to: 'add', id: 1 },
      2: { to: 'deleted' },
    })
  })

  test('an id that was given twice, since a copy was put back, is told apart by its time', () => {
    expect(fates({ theirs: [row(1, 'a', 5)], ours: [row(1, 'b', 7)] })).toEqual({ 1: { to: 'add' } })
  })

  test('two that have changed their names get them back', () => {
    expect(fates({ theirs: [row(1, 'a'), row(2, 'b')], ours: [row(1, 'b'), row(2, 'a')] })).toEqual({
      1: { to: 'over', id: 1 },
      2: { to: 'over', id: 2 },
    })
  })

  test('a name that a newer row has stays with it, and so does what hangs on that', () => {
    // 1 was a and is b; 2 was b and is c; a is now 9's.
    const ours = [row(1, 'b'), row(2, 'c'), row(9, 'a')]
    expect(fates({ theirs: [row(1, 'a'), row(2, 'b'), row(3, 'x')], ours })).toEqual({
      1: { to: 'taken', id: 1 },
      2: { to: 'taken', id: 2 },
      3: { to: 'add', id: 3 },
    })
  })
})

describe('between two lines', () => {
  test('the same id is another row; the same name is the same one, if it proves to be', () => {
    const theirs = [row(1, 'a'), row(2, 'b'), row(3, 'c')]
    const ours = [row(1, 'b'), row(2, 'c')]
    const isSame = (there: Known): boolean => there.name === 'b'
    expect(fates({ theirs, ours, sameLine: false, isSame, buried: new Set([1, 2, 3]) })).toEqual({
      1: { to: 'add' },
      2: { to: 'over', id: 1 },
      3: { to: 'taken' },
    })
  })
})

test('what its sender knows to be deleted is not added; what is here is not asked about', () => {
  const isDeleted = (): boolean => true
  expect(fates({ theirs: [row(1, 'a'), row(2, 'b')], ours: [row(1, 'a')], isDeleted })).toEqual({
    1: { to: 'over', id: 1 },
    2: { to: 'deleted' },
  })
})
