/**
 * Makes dist/: everything a server needs beside Node 24. The program is bundled, which halves its memory: only what is
 * used is loaded, and the agent's start does not read the controller's half. `--with-xray` puts Xray there too.
 */
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Metafile } from 'esbuild'
import { findXray, pinnedXrayVersion } from '#src/xray/programs/binary.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { bundle } from './bundle.ts'

const root = import.meta.dirname
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'dist') },
    'with-xray': { type: 'boolean', default: false },
  },
})
const out = values.out

/**
 * Figures for V8, measured on this program: without them Node sizes its heap by the machine's memory and lets garbage
 * lie. 160 MB is some four times what a controller of 1,000 servers holds; beyond it a leak is better ended.
 */
const nodeFlags = ['--max-old-space-size=160', '--max-semi-space-size=1', '--optimize-for-size']

/** The oldest Node that runs it, as package.json says. */
const oldestNode = Number(/\d+/.exec(readManifest().engines?.node ?? '')?.[0])

/**
 * An older Node fails somewhere inside, in words that help nobody, so it is asked first. `command -v` finds the path
 * in NODE too.
 */
const launcher = `#!/bin/sh
# Starts fleetgram: start | agent [join TOKEN]. Needs Node ${oldestNode} or later, as NODE or on PATH.
node=\${NODE:-node}
need='fleetgram needs Node ${oldestNode} or later. Install it (https://nodejs.org), or say where it is: NODE=/path/to/bin/node'
if ! command -v "$node" >/dev/null; then
  echo "There is no program $node here. $need" >&2
  exit 1
fi
version=$("$node" --version 2>&1 | head -n 1)
major=\${version#v}
major=\${major%%.*}
if ! [ "$major" -ge ${oldestNode} ] 2>/dev/null; then
  echo "$node is not the right one: asked for its version, it says: $version. $need" >&2
  exit 1
fi
here=$(dirname "$(readlink -f "$0")")
# By itself the C library keeps free memory for each of a dozen threads: 4 MB that nobody uses.
export MALLOC_ARENA_MAX="\${MALLOC_ARENA_MAX:-2}"
exec "$node" ${nodeFlags.join(' ')} "$here/app/fleetgram.mjs" "$@"
`

interface Manifest {
  name: string
  version: string
  license?: string
  engines?: { node?: string }
}

function readManifest(folder = root): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}

/** The library for SQLite, with its binaries for every Linux: what is built here may run on another machine. */
function copySqlite(): void {
  const [from, to] = [join(root, 'node_modules/better-sqlite3'), join(out, 'node_modules/better-sqlite3')]
  for (const part of ['package.json', 'LICENSE', 'lib'])
    cpSync(join(from, part), join(to, part), { recursive: true })
  for (const file of readdirSync(join(from, 'prebuilds')).filter((name) => name.startsWith('linux'))) {
    cpSync(join(from, 'prebuilds', file), join(to, 'prebuilds', file))
  }
}

/** What is read as files at run time, and which release this is. */
function copyFiles(): void {
  const { name, version, license } = readManifest()
  writeFileSync(
    join(out, 'package.json'),
    `${JSON.stringify({ name, version, license, type: 'module' }, null, 2)}\n`,
  )
  cpSync(join(root, 'migrations'), join(out, 'migrations'), { recursive: true })
  cpSync(join(root, 'LICENSE'), join(out, 'LICENSE'))
  // What is asked for on a machine that has no copy of the sources.
  cpSync(join(root, 'deploy/systemd'), join(out, 'systemd'), { recursive: true })
  cpSync(join(root, 'bot.config.example.json'), join(out, 'bot.config.example.json'))
  writeFileSync(join(out, 'fleetgram'), launcher)
  chmodSync(join(out, 'fleetgram'), 0o755)
}

/** The licences of the bundled packages ask to be passed on with them. */
function collectLicenses(metafile: Metafile): void {
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap(
      (file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? [],
    ),
  )
  const texts = [...packages].toSorted().map((folder) => {
    const { name, version, license } = readManifest(join(root, folder))
    const file = readdirSync(join(root, folder)).find((each) => /^licen[sc]e/i.test(each))
    const words = file === undefined ? '' : readFileSync(join(root, folder, file), 'utf8').trim()
    return `${name} ${version} (${license ?? 'see below'})\n\n${words}\n`
  })
  writeFileSync(join(out, 'THIRD-PARTY-LICENSES.txt'), texts.join(`\n${'-'.repeat(80)}\n\n`))
}

/** Finds or fetches Xray as the program itself would, and puts it where the program will look. */
async function addXray(): Promise<void> {
  const say = (details: object, message: string): void =>
    void process.stdout.write(`${message} ${JSON.stringify(details)}\n`)
  const log = { debug: (): void => undefined, info: say, warn: say, error: say }
  const binary = await findXray({ env: process.env, cacheDir: join(root, '.cache'), log })
  const version = await xrayVersion(binary)
  if (version !== pinnedXrayVersion)
    throw new Error(`${binary} is ${version}; ${pinnedXrayVersion} is shipped`)
  cpSync(binary, join(out, '.cache', `xray-${version}`, 'xray'))
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
collectLicenses(
  await bundle({ programs: { fleetgram: 'src/main.ts' }, into: join(out, 'app'), isReadable: false }),
)
copySqlite()
copyFiles()
if (values['with-xray']) await addXray()
process.stdout.write(`Built ${out}\n`)
