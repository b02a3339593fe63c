/** Makes programs of our sources as they are shipped: for a release, and for tests, which start hundreds of them. */
import { type Metafile, type Plugin, build } from 'esbuild'

const root = import.meta.dirname

/** The demo starts its agents from the sources, and its chat page is for developers. It is not shipped. */
const withoutDemo: Plugin = {
  name: 'without-demo',
  setup(bundler) {
    bundler.onLoad({ filter: /\/src\/demo\.ts$/ }, () => ({
      contents: `export async function runDemo() {
        process.stderr.write('The demo runs from a copy of the source: npm ci && npm run demo\\n')
        process.exitCode = 2
      }`,
    }))
  },
}

/** grammY's own HTTP client, which the bot does not use, and with it tables of 290 kB for a URL parser of its own. */
const nativeFetch: Plugin = {
  name: 'native-fetch',
  setup(bundler) {
    bundler.onLoad({ filter: /\/node_modules\/node-fetch\// }, () => ({
      contents: 'exports.default = globalThis.fetch',
    }))
  },
}

export interface Bundling {
  /** What each is called, and the file it begins with, from the project's root. */
  programs: Record<string, string>
  /** The folder for them: one beside package.json and migrations/, or a copy of these. */
  into: string
  /** Leaves the lines as they are, for who reads a stack. */
  isReadable: boolean
}

/** @returns what went into it */
export async function bundle({ programs, into, isReadable }: Bundling): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: programs,
    outdir: into,
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    bundle: true,
    // Controller and agent are imported when asked for, so each becomes a file of its own beside what they share.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: !isReadable,
    legalComments: 'none',
    metafile: true,
    // It holds a native library, which cannot be bundled; it is copied beside the bundle instead.
    external: ['better-sqlite3'],
    plugins: [withoutDemo, nativeFetch],
    // Packages written as CommonJS call these, which modules do not have.
    banner: {
      js: [
        "import { createRequire as __createRequire } from 'node:module'",
        'const require = __createRequire(import.meta.url)',
        'const __filename = import.meta.filename, __dirname = import.meta.dirname',
      ].join(';'),
    },
    logLevel: 'warning',
  })
  return metafile
}
