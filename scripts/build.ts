// npm run build: makes packages/<name>/dist, each a complete package to publish (`npm pack ./packages/<name>/dist`):
//   libraries: JavaScript and declarations from tsc, one module per source file;
//   plastron:  the launchers of bin/ and the bundled executables: an entry each, and the chunks they share.
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const libraries = ['pki', 'api', 'spiffe', 'runtime', 'server', 'agent']

interface Manifest {
  name: string
  version: string
  private?: boolean
  exports?: Record<string, string>
  bin?: Record<string, string>
  dependencies?: Record<string, string>
  [key: string]: unknown
}

function manifestOf(name: string): Manifest {
  return JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as Manifest
}

function writeManifest(name: string, manifest: Manifest): void {
  writeFileSync(join(root, 'packages', name, 'dist/package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

function copyDocuments(name: string): void {
  const target = join(root, 'packages', name, 'dist')
  copyFileSync(join(root, 'LICENSE'), join(target, 'LICENSE'))
  const readme = join(root, 'packages', name, 'README.md')
  if (existsSync(readme)) copyFileSync(readme, join(target, 'README.md'))
}

for (const name of [...libraries, 'plastron'])
  rmSync(join(root, 'packages', name, 'dist'), { recursive: true, force: true })

const compiled = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-b', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
if (compiled.status !== 0) throw new Error('the compiler refused the sources')

for (const name of libraries) {
  const manifest = manifestOf(name)
  const exports: Record<string, unknown> = {}
  for (const [subpath, source] of Object.entries(manifest.exports ?? {})) {
    const built = source.replace(/^\.\/src\//, './lib/').replace(/\.ts$/, '')
    exports[subpath] = { types: `${built}.d.ts`, default: `${built}.js` }
  }
  const { private: _private, exports: _exports, ...rest } = manifest
  writeManifest(name, { ...rest, exports, files: ['lib'] } as Manifest)
  copyDocuments(name)
}

const plastron = join(root, 'packages/plastron')
mkdirSync(join(plastron, 'dist'), { recursive: true })
rmSync(join(plastron, 'dist/lib'), { recursive: true, force: true })
const external = ['koffi']
// A worker is a file of its own: it is named *-worker.ts and found beside the module that starts it.
const workers = globSync('packages/*/src/**/*-worker.ts', { cwd: root })
const mains = globSync('packages/plastron/src/*-main.ts', { cwd: root })
await build({
  absWorkingDir: root,
  entryPoints: [...mains, ...workers].map(file => ({ in: file, out: basename(file, '.ts') })),
  outdir: join(plastron, 'dist/lib'),
  bundle: true,
  // What a command does not use is not read: one file for each executable took twice the CPU time to start (210 against
  // 100 ms for `bundle count` without a compile cache). Chunks lie beside the entries, so that import.meta.url means the same.
  splitting: true,
  chunkNames: 'chunk-[hash]',
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  external,
  // CommonJS packages inside an ES module need these three names.
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';import{dirname as __dirnameOf}from'node:path';import{fileURLToPath as __toPath}from'node:url';const require=__createRequire(import.meta.url),__filename=__toPath(import.meta.url),__dirname=__dirnameOf(__filename);",
  },
  logLevel: 'warning',
})
cpSync(join(plastron, 'bin'), join(plastron, 'dist/bin'), { recursive: true })
const runtime = manifestOf('runtime').dependencies ?? {}
const { private: _private, dependencies: _bundled, ...rest } = manifestOf('plastron')
writeManifest('plastron', {
  ...rest,
  dependencies: Object.fromEntries(
    external.map(name => [name, runtime[name] ?? fail(`${name} is no dependency of runtime`)]),
  ),
  files: ['bin', 'lib'],
} as Manifest)
copyDocuments('plastron')
process.stdout.write(`built ${[...libraries, 'plastron'].map(name => `packages/${name}/dist`).join(' ')}\n`)

function fail(message: string): never {
  throw new Error(message)
}
