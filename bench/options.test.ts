import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repositoryRoot } from '../tests/support/cluster.ts'
import { runProgram } from '../tests/support/run-program.ts'
import { allLines } from './lines/index.ts'
import { parseOptions } from './options.ts'

const run = (...args: string[]) =>
  runProgram(process.execPath, ['bench/run.ts', ...args], { cwd: repositoryRoot, timeoutMs: 60_000 })

test('--help names every line, and a mistake is answered with what is wrong and measures nothing', async () => {
  const help = await run('--help')
  assert.equal(help.code, 0)
  for (const name of allLines.flatMap(({ lines }) => Object.keys(lines))) assert.ok(help.stdout.includes(name), name)
  for (const [args, message] of [
    [['swiftly'], 'swiftly is unknown; --help names what there is\n'],
    [['--runs', '0'], '--runs must be a whole number greater than 0, not 0\n'],
  ] as const) {
    const { code, stdout, stderr } = await run(...args)
    assert.deepEqual({ code, stdout, stderr }, { code: 2, stdout: '', stderr: message })
  }
})

test('numbers are checked and have their defaults', () => {
  assert.throws(() => parseOptions(['--effort', 'much']), /--effort must be a number, not much/)
  assert.throws(() => parseOptions(['--effort', '0']), /--effort must be greater than 0/)
  assert.throws(() => parseOptions(['--server-socket', '/s', '--server-port', '1.5']), /--server-port must be a whole/)
  assert.throws(() => parseOptions(['only', 'nothing']), /no line is called nothing; known: .*mint-x509/)
  // The checkout, since nothing need be built before the tests.
  const checkout = ['--plastron', 'packages/plastron']
  assert.equal(parseOptions(checkout)?.runs, 3)
  assert.equal(parseOptions(['quick', ...checkout])?.effort.part, 0.05)
  assert.equal(parseOptions(['--server-socket', '/s'])?.running?.port, 8081)
  assert.equal(parseOptions(['-h']), undefined)
})
