// The executables as they are published: one CommonJS file for each group of commands that share what they load, one for each thread.
import { globSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { embeddedDescriptors } from './embedded-descriptors.ts'

/** Native packages stay packages. */
const external = ['koffi']

/** What loads far more than other commands is a bundle of its own: each is read only when it is called. */
const separate = new Map<string, string>([
  ...['server', 'agent'].flatMap(program => [
    [`packages/${program}/src/run-${program}.ts`, `${program}-run`] as const,
    [`packages/${program}/src/cli/validate.ts`, `${program}-validate`] as const,
  ]),
  ['packages/server/src/cli/entry-document.ts', 'server-entry-document'],
])

/**
 * Bundles the executables and the workers of the checkout at `root` into `folder`, and resolves with the names of the packages that are not
 * inside and must be installed beside it.
 */
export async function bundleExecutables(root: string, folder: string): Promise<readonly string[]> {
  const mains = globSync('packages/plastron/src/*-main.ts', { cwd: root })
  // A worker is a file of its own: it is named *-worker.ts and found beside the module that starts it.
  const workers = globSync('packages/*/src/**/*-worker.ts', { cwd: root })
  const bundle = (entries: readonly (readonly [file: string, name: string])[]) =>
    build({
      absWorkingDir: root,
      entryPoints: entries.map(([file, name]) => ({ in: file, out: name })),
      outdir: folder,
      bundle: true,
      platform: 'node',
      // In CommonJS a part of Node is loaded without being turned into an ES module, which reads all its properties: of node:http, undici.
      format: 'cjs',
      // Likewise for import(), which also would not find the compiled form of a neighbour.
      supported: { 'dynamic-import': false },
      target: 'node24',
      minifySyntax: true,
      minifyWhitespace: true,
      charset: 'ascii',
      legalComments: 'linked',
      external,
      plugins: [neighbours(root), englishOnly, embeddedDescriptors],
      define: { 'import.meta.url': '__fileUrl' },
      banner: { js: "const __fileUrl=require('node:url').pathToFileURL(__filename).href;" },
      logLevel: 'warning',
    })
  await Promise.all([
    bundle(mains.map(file => [file, basename(file, '.ts')])),
    bundle([...separate]),
    bundle(workers.map(file => [file, `${basename(file, '.ts')}.bundle`])),
  ])
  for (const file of workers) {
    const name = basename(file, '.ts')
    writeFileSync(
      join(folder, `${name}.js`),
      `'use strict'\nrequire('../bin/load-bundle.js').loadBundle(require('node:path').join(__dirname, '${name}.bundle.js'))\n`,
    )
  }
  writeFileSync(join(folder, 'package.json'), '{\n  "private": true,\n  "type": "commonjs"\n}\n')
  return external
}

/** Leaves `import('./run.ts')` and its like to the loader of bundles. */
function neighbours(root: string): Plugin {
  return {
    name: 'neighbours',
    setup: builder => {
      builder.onResolve({ filter: /^\.\.?\/[a-z-]+\.ts$/ }, ({ kind, path, resolveDir }) => {
        if (kind !== 'dynamic-import') return undefined
        const name = separate.get(join(resolveDir, path).slice(root.length).replace(/^\//, ''))
        return name === undefined ? undefined : { path: `./${name}.js`, external: true }
      })
    },
  }
}

/** Of zod's texts in fifty languages, none but the English ones can be shown. */
const englishOnly: Plugin = {
  name: 'english-only',
  setup: builder => {
    builder.onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
    }))
  },
}
