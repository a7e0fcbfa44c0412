// The executables as they are published: an entry for each, and chunks that are read when a command needs them.
import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { build } from 'esbuild'

/** Native packages stay packages. */
const external = ['koffi']

/**
 * Bundles the executables and the workers of the checkout at `root` into `folder`, and resolves with the names of the packages that are not
 * inside and must be installed beside it.
 */
export async function bundleExecutables(root: string, folder: string): Promise<readonly string[]> {
  // A worker is a file of its own: it is named *-worker.ts and found beside the module that starts it.
  const workers = globSync('packages/*/src/**/*-worker.ts', { cwd: root })
  const mains = globSync('packages/plastron/src/*-main.ts', { cwd: root })
  await build({
    absWorkingDir: root,
    entryPoints: [...mains, ...workers].map(file => ({ in: file, out: basename(file, '.ts') })),
    outdir: folder,
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
  return external
}
