// npm run build: makes packages/<name>/dist, each a complete package to publish (`npm pack ./packages/<name>/dist`):
//   libraries: JavaScript and declarations from tsc, one module per source file;
//   plastron:  the launchers of bin/, the bundled executables, and these as V8 compiled them.
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleExecutables } from './bundle.ts'
import { recordCompiledForms } from './compiled-forms.ts'

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
const external = await bundleExecutables(root, join(plastron, 'dist/lib'))
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
await recordCompiledForms(join(plastron, 'dist'))
process.stdout.write(`built ${[...libraries, 'plastron'].map(name => `packages/${name}/dist`).join(' ')}\n`)

function fail(message: string): never {
  throw new Error(message)
}
