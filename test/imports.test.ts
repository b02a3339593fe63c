import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

/**
 * Who may import whom. Imports go one way, from what runs the fleet to what knows only of one server, so that a folder
 * can be understood, tested and changed without those above it.
 */
const mayImport: Record<string, readonly string[]> = {
  contract: [],
  xray: ['contract'],
  store: ['contract'],
  trust: ['contract', 'store'],
  node: ['contract', 'xray', 'store', 'trust'],
  connectors: ['contract', 'xray', 'node', 'trust'],
  fleet: ['contract', 'xray', 'node', 'connectors', 'store', 'trust'],
  notify: ['contract', 'fleet', 'store', 'trust'],
  health: ['contract', 'fleet', 'notify', 'store', 'trust'],
  bot: ['contract', 'fleet', 'health', 'notify', 'trust'],
  web: ['contract', 'fleet', 'health', 'trust'],
  playground: [],
}

/** Folders within those: each may use those before it and what lies beside them all, and may name the types of any. */
const rooms: Record<string, readonly string[]> = {
  'src/xray': ['programs', 'config', 'api', 'life', 'sockets'],
  'src/node': [
    'rows',
    'events',
    'logs',
    'machine',
    'writes',
    'engine',
    'limits',
    'certificates',
    'backup',
    'software',
  ],
}

/** Single files that may do what the rest of their folder may not. */
const mayImportToo: readonly { from: RegExp; to: RegExp; typeOnly?: true; why: string }[] = [
  {
    from: /^src\/bot\/store\//,
    to: /^src\/store\//,
    why: 'the bot has tables of its own, and reaches them through this folder',
  },
  {
    from: /^src\/bot\/(?:types|inbox)\.ts$/,
    to: /^src\/store\/drizzle\.ts$/,
    typeOnly: true,
    why: 'the type of the database it is handed, and hands on to its own tables',
  },
  {
    from: /^src\/web\/gateway\.ts$/,
    to: /^src\/store\/open\.ts$/,
    typeOnly: true,
    why: 'the type of the database it is handed',
  },
  {
    from: /^src\/web\/(?:gateway|server)\.ts$/,
    to: /^src\/connectors\/listening\.ts$/,
    why: 'they listen just as the agent does',
  },
  {
    from: /^src\/config\.ts$/,
    to: /^src\/trust\/address\.ts$/,
    why: 'addresses are checked by what will read them',
  },
  {
    from: /^src\/config\.ts$/,
    to: /^src\/node\/certificates\/acme\/settings\.ts$/,
    why: 'what is left out is as the node has it',
  },
]

/** They stand beside the folders and may be used anywhere, but know nothing of them. */
const everywhere = new Set([
  'src/errors.ts',
  'src/clip.ts',
  'src/error-kinds.ts',
  'src/error-kinds-certificates.ts',
  'src/error-kinds-xray.ts',
  'src/error-kinds-backup.ts',
  'src/runtime.ts',
  'src/log.ts',
  'src/faults.ts',
])
/** They put the parts together, so they may import anything. Nothing imports them but each other and the tests. */
const roots = new Set(['src/main.ts', 'src/controller.ts', 'src/agent.ts', 'src/demo.ts'])

const home = join(import.meta.dirname, '..')
const files = globSync('{src,test,bench}/**/*.ts', { cwd: home }).toSorted()
const isTest = (file: string): boolean => file.endsWith('.test.ts')
const sources = files.filter((file) => file.startsWith('src/') && !isTest(file))

interface Import {
  from: string
  /** A path from the project's folder, or the name of a package. */
  to: string
  /** Gone before the program runs. */
  typeOnly: boolean
  /** Loaded while the program runs. */
  isLate: boolean
}

const statement =
  /^[ \t]*(?:import|export)\s+(type\s+)?(?:([\w*\s{},$]+?)\s+from\s+)?'([^']+)'|(?<!typeof )\bimport\(\s*'([^']+)'/gm

function importsOf(file: string): Import[] {
  const text = readFileSync(join(home, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  return [...text.matchAll(statement)].map(([, type, names, fixed, dynamic]) => {
    const named = /^\{([\s\S]*)\}$/.exec(names?.trim() ?? '')?.[1]
    const all =
      named
        ?.split(',')
        .map((name) => name.trim())
        .filter(Boolean) ?? []
    return {
      from: file,
      to: resolve(file, fixed ?? dynamic ?? ''),
      typeOnly: type !== undefined || (all.length > 0 && all.every((name) => name.startsWith('type '))),
      isLate: dynamic !== undefined,
    }
  })
}

function resolve(from: string, to: string): string {
  if (to.startsWith('#')) return to.slice(1)
  return to.startsWith('.') ? relative(home, join(home, from, '..', to)) : to
}

const imports = sources.flatMap(importsOf)
const ours = imports.filter(({ to }) => to.startsWith('src/') || to.startsWith('test/'))
const folderOf = (file: string): string | undefined => /^src\/([^/]+)\//.exec(file)?.[1]
const told = ({ from, to }: Import): string => `${from} → ${to}`

function isAllowed({ from, to, typeOnly }: Import): boolean {
  if (everywhere.has(to) || roots.has(from)) return true
  if (roots.has(to) || everywhere.has(from) || !to.startsWith('src/')) return false
  const [here, there] = [folderOf(from), folderOf(to)]
  if (here === there) return true
  if (there !== undefined && here !== undefined && mayImport[here]?.includes(there) === true) return true
  return mayImportToo.some(
    (each) => each.from.test(from) && each.to.test(to) && (each.typeOnly !== true || typeOnly),
  )
}

/** Files that import each other in a circle, each circle once. */
function circles(edges: readonly Import[]): string[] {
  const next = Map.groupBy(edges, ({ from }) => from)
  const done = new Set<string>()
  const found: string[] = []
  const visit = (file: string, path: string[]): void => {
    const start = path.indexOf(file)
    if (start !== -1) return void found.push([...path.slice(start), file].join(' → '))
    if (done.has(file)) return
    for (const { to } of next.get(file) ?? []) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of next.keys()) visit(file, [])
  return found
}

describe('the direction of imports', () => {
  it('is read from the files as they are', () => {
    expect(sources.length).toBeGreaterThan(100)
    expect(ours.length).toBeGreaterThan(sources.length)
    const missing = ours.filter(({ to }) => to.endsWith('.ts') && !files.includes(to))
    expect(missing.map(told)).toEqual([])
    expect(importsOf('src/web/server.ts').map(({ to }) => to)).toContain('src/web/status-page.ts')
  })

  it('has a rule for every folder', () => {
    const folders = new Set(sources.map(folderOf).filter((folder) => folder !== undefined))
    expect([...folders].filter((folder) => !(folder in mayImport))).toEqual([])
  })

  it('is kept by every file', () => {
    expect(ours.filter((each) => !isAllowed(each)).map(told)).toEqual([])
  })

  it.each(Object.entries(rooms))('is kept within %s too', (house, all) => {
    const roomOf = (file: string): string | undefined =>
      file.startsWith(`${house}/`) ? /^([^/]+)\//.exec(file.slice(house.length + 1))?.[1] : undefined
    const there = new Set(sources.map(roomOf).filter((room) => room !== undefined))
    expect(all.toSorted()).toEqual([...there].toSorted())
    const isUp = ({ from, to, typeOnly }: Import): boolean => {
      const [room, other] = [roomOf(from), roomOf(to)]
      if (room === undefined || other === undefined || typeOnly) return false
      return all.indexOf(other) > all.indexOf(room)
    }
    const [first, last] = [`${house}/${all.at(0)}/a.ts`, `${house}/${all.at(-1)}/a.ts`]
    expect(isUp({ from: first, to: last, typeOnly: false, isLate: false })).toBe(true)
    expect(ours.filter(isUp).map(told)).toEqual([])
  })

  it('goes up one storey at a time: the rules themselves have no circle', () => {
    const rules = Object.entries(mayImport).flatMap(([from, all]) =>
      all.map((to) => ({ from, to, typeOnly: false, isLate: false })),
    )
    expect(circles(rules)).toEqual([])
  })

  it('leads to a package at the start of a file only: late, the names of an older one are not found when bundled', () => {
    const late = imports.filter(({ isLate }) => isLate)
    expect(late.map(({ to }) => to)).toContain('src/xray/programs/https-download.ts')
    expect(late.filter(({ to }) => !to.startsWith('src/')).map(told)).toEqual([])
  })

  it('has no circle between files', () => {
    expect(circles(ours.filter(({ typeOnly }) => !typeOnly))).toEqual([])
  })

  it('would find a wrong one', () => {
    const wrong: [string, string][] = [
      ['src/xray/api/api.ts', 'src/node/node.ts'],
      ['src/bot/menus.ts', 'src/xray/config/links.ts'],
      ['src/bot/menus.ts', 'src/store/open.ts'],
      ['src/web/server.ts', 'src/connectors/remote.ts'],
      ['src/web/status-page.ts', 'src/connectors/listening.ts'],
      ['src/playground/world.ts', 'src/config.ts'],
      ['src/xray/api/api.ts', 'src/config.ts'],
      ['src/fleet/fleet.ts', 'src/controller.ts'],
      ['src/errors.ts', 'src/trust/ca.ts'],
      ['src/fleet/fleet.ts', 'test/support/fake-fleet.ts'],
    ]
    expect(wrong.filter(([from, to]) => isAllowed({ from, to, typeOnly: false, isLate: false }))).toEqual([])
    const edge = (from: string, to: string): Import => ({ from, to, typeOnly: false, isLate: false })
    expect(circles([edge('a', 'b'), edge('b', 'c'), edge('c', 'a')])).toEqual(['a → b → c → a'])
  })
})

describe('the state of the house', () => {
  const lines = (file: string): number => readFileSync(join(home, file), 'utf8').trimEnd().split('\n').length
  const containing = (pattern: RegExp): string[] =>
    sources.filter((file) =>
      pattern.test(readFileSync(join(home, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')),
    )

  it('has files one can read in one go: 250 lines, tests 400', () => {
    const made = (file: string): boolean => readFileSync(join(home, file), 'utf8').startsWith('// Made by ')
    const long = files.filter((file) => !made(file) && lines(file) > (isTest(file) ? 400 : 250))
    expect(long.map((file) => `${file}: ${lines(file)}`)).toEqual([])
  })

  it('loads no package late but through a file of its own, where a bundler finds its names', () => {
    expect(containing(/(?<!typeof )\bimport\(\s*'[^.#]/)).toEqual([])
  })

  it('writes to its log, not to the console', () => {
    expect(containing(/\bconsole\.\w/)).toEqual([])
  })

  it('keeps no state in modules', () => {
    expect(containing(/^(?:export )?(?:let|var)\s/m)).toEqual([])
    expect(
      containing(
        /^(?:export )?const \w+(?:: [^=\n]+)? = new (?:Map|Set|WeakMap|WeakSet|Array)(?:<[^\n]*>)?\(\)/m,
      ),
    ).toEqual([])
  })

  it('knows no machine but the one it runs on, and silences no check', () => {
    const everyFile = [...files, ...globSync('*.ts', { cwd: home })]
    const found = everyFile.filter((file) =>
      /@ts-(?:ignore|nocheck|expect-error)|(?:ox|es)lint-disable|\/(?:work|home|root)\/\w/.test(
        readFileSync(join(home, file), 'utf8'),
      ),
    )
    expect(found.filter((file) => file !== 'test/imports.test.ts')).toEqual([])
  })
})
