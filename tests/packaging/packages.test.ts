import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { repositoryRoot } from '../support/cluster.ts'
import { runProgram, startProgram } from '../support/run-program.ts'

const packages = ['pki', 'api', 'spiffe', 'runtime', 'server', 'agent', 'plastron']

async function succeed(
  command: string,
  args: readonly string[],
  cwd: string,
  env?: NodeJS.ProcessEnv,
): Promise<string> {
  const result = await runProgram(command, args, { cwd, env, timeoutMs: 240_000 })
  assert.equal(result.code, 0, `${command} ${args.join(' ')}\n${result.stdout}\n${result.stderr}`)
  return result.stdout
}

describe('published packages', () => {
  test('install together elsewhere, without the registry for our own names, and run from built files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plastron-pack-'))
    try {
      await succeed(process.execPath, ['scripts/build.ts'], repositoryRoot)
      const tarballs = join(folder, 'tarballs')
      const home = join(folder, 'home')
      await mkdir(tarballs)
      await mkdir(home)
      for (const name of packages) {
        await succeed(
          'npm',
          ['pack', '--silent', '--pack-destination', tarballs, join(repositoryRoot, 'packages', name, 'dist')],
          folder,
        )
      }
      const files = (await readdir(tarballs)).toSorted()
      assert.equal(files.length, packages.length)

      // Our scope has no registry here: whatever is not among the tarballs cannot be found.
      await writeFile(join(home, 'package.json'), JSON.stringify({ name: 'elsewhere', private: true }))
      await writeFile(
        join(home, '.npmrc'),
        '@plastron:registry=http://127.0.0.1:9/\nfetch-retries=0\nignore-scripts=true\n',
      )
      await succeed(
        'npm',
        ['install', '--no-audit', '--no-fund', '--omit=dev', ...files.map(file => join(tarballs, file))],
        home,
      )

      for (const [name, program] of [
        ['plastron', 'plastron'],
        ['plastron-server', 'plastron-server'],
        ['plastron-agent', 'plastron-agent'],
      ] as const) {
        const version = await succeed(
          process.execPath,
          [join(home, 'node_modules/plastron/bin', `${program}.js`), '--version'],
          home,
        )
        assert.equal(
          version,
          `${(JSON.parse(await readFile(join(repositoryRoot, 'packages/plastron/package.json'), 'utf8')) as { version: string }).version}\n`,
          name,
        )
      }
      const installed = await readdir(join(home, 'node_modules/plastron/lib'))
      assert.ok(installed.includes('server-main.js'))
      assert.ok(installed.every(file => !file.endsWith('.ts')))

      const script = `
        import { SpiffeId } from '@plastron/spiffe'
        import { Certificate } from '@plastron/pki'
        import { entryV1 } from '@plastron/api'
        console.log(SpiffeId.parse('spiffe://example.org/a').path, typeof Certificate.parse, entryV1.Entry.typeName)`
      assert.equal(
        await succeed(process.execPath, ['--input-type=module', '-e', script], home),
        '/a function spire.api.server.entry.v1.Entry\n',
      )

      // A whole trust domain from the built executables.
      const dev = startProgram(
        process.execPath,
        [join(home, 'node_modules/plastron/bin/plastron.js'), 'dev', '-ephemeral'],
        { cwd: home },
      )
      try {
        assert.match(await dev.until('stdout', text => text.includes('Ctrl-C stops everything')), /X509-SVID +verified/)
      } finally {
        dev.child.kill('SIGINT')
      }
      assert.equal((await dev.ended).code, 0)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('all carry one version, and the executables print it', async () => {
    const versions = await Promise.all(
      packages.map(
        async name =>
          (
            JSON.parse(await readFile(join(repositoryRoot, 'packages', name, 'package.json'), 'utf8')) as {
              version: string
            }
          ).version,
      ),
    )
    assert.equal(new Set(versions).size, 1)
    const result = await runProgram(process.execPath, [
      join(repositoryRoot, 'packages/plastron/bin/plastron.js'),
      '--version',
    ])
    assert.equal(result.stdout.trim(), versions[0])
  })
})
