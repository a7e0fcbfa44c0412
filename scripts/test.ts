// Runs every test of the repository, package by package, and ends with one line that counts them.
//   npm test                      everything a change must pass
//   npm test -- pki server        only these packages, or folders below tests/
//   npm run test:long             also what takes long: more kills, more fuzzing, longer soaks
import { spawn } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const long = process.argv.includes('--long')
const chosen = process.argv.slice(2).filter(argument => !argument.startsWith('-'))

interface Suite {
  name: string
  files: string[]
  /** Tests of one package share a process; those that start daemons get one each. */
  isolated: boolean
}

const packages = ['pki', 'api', 'spiffe', 'runtime', 'server', 'agent', 'plastron']
const folders = ['vectors', 'fuzz', 'e2e', 'interop', 'packaging', 'chaos']

const suites: Suite[] = [
  ...packages.map(name => ({ name, files: find(`packages/${name}/src/**/*.test.ts`), isolated: false })),
  { name: 'scripts', files: find('{scripts,bench}/**/*.test.ts'), isolated: false },
  ...folders.map(name => ({ name, files: find(`tests/${name}/**/*.test.ts`), isolated: true })),
].filter(suite => suite.files.length > 0 && (chosen.length === 0 || chosen.includes(suite.name)))

function find(pattern: string): string[] {
  return globSync(pattern, { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] }).toSorted()
}

const total = { passed: 0, failed: 0, skipped: 0 }
const failedSuites: string[] = []

function run(suite: Suite): Promise<void> {
  return new Promise(resolve => {
    const started = Date.now()
    process.stdout.write(`\n== ${suite.name}: ${suite.files.length} files\n`)
    const isolation = suite.isolated ? [] : ['--test-isolation=none']
    const child = spawn(
      process.execPath,
      [
        '--test',
        ...isolation,
        // Daemons and peers share the machine; one file at a time keeps their timings honest.
        ...(suite.isolated ? ['--test-concurrency=1'] : []),
        `--test-reporter=${join(root, 'scripts/test-summary-reporter.ts')}`,
        ...suite.files,
      ],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, ...(long ? { PLASTRON_TEST_LONG: '1' } : {}) },
      },
    )
    let tail = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      tail = (tail + chunk).slice(-200)
      process.stdout.write(chunk.replace(/^@@ .*\n/m, ''))
    })
    child.on('close', code => {
      const counts = /^@@ (\d+) (\d+) (\d+)$/m.exec(tail)
      const [passed, failed, skipped] = counts ? counts.slice(1).map(Number) : [0, 0, 0]
      total.passed += passed ?? 0
      total.failed += failed ?? 0
      total.skipped += skipped ?? 0
      const seconds = ((Date.now() - started) / 1000).toFixed(1)
      process.stdout.write(
        `\n   ${suite.name}: ${passed} passed, ${failed} failed, ${skipped} skipped (${seconds} s)\n`,
      )
      if (code !== 0 || !counts) failedSuites.push(suite.name)
      resolve()
    })
  })
}

if (suites.length === 0) {
  process.stderr.write(
    `no test matches ${chosen.join(' ')}; known: ${[...packages, 'scripts', ...folders].join(' ')}\n`,
  )
  process.exitCode = 1
} else {
  const require = createRequire(import.meta.url)
  if (!existsSync(dirname(require.resolve('typescript/package.json')))) throw new Error('run npm ci first')
  for (const suite of suites) await run(suite)
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`)
  if (failedSuites.length > 0) {
    process.stdout.write(`failed: ${failedSuites.join(' ')}\n`)
    process.exitCode = 1
  }
}
