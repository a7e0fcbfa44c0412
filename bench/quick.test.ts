import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { repositoryRoot } from '../tests/support/cluster.ts'
import { runProgram } from '../tests/support/run-program.ts'
import { allLines } from './lines/index.ts'
import { comparison } from './recorded.ts'
import { type Report, reportTable } from './report.ts'

test('a quick run of the benchmark completes, and every figure of every line is finite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plastron-bench-test-'))
  try {
    const json = join(folder, 'report.json')
    // The checkout, since nothing need be built before the tests.
    const args = ['bench/run.ts', 'quick', '--plastron', 'packages/plastron', '--json', json]
    const { code, stdout, stderr } = await runProgram(process.execPath, args, {
      cwd: repositoryRoot,
      timeoutMs: 180_000,
    })
    assert.equal(code, 0, stderr)
    const report = JSON.parse(await readFile(json, 'utf8')) as Report
    const expected = allLines.filter(({ slow }) => !slow).flatMap(({ lines }) => Object.keys(lines))
    assert.deepEqual(
      report.lines.map(({ name }) => name),
      expected,
    )
    for (const { name, medians } of report.lines) {
      const figures = Object.entries(medians.Plastron ?? {})
      assert.ok(figures.length > 0, name)
      for (const [figure, value] of figures) assert.ok(Number.isFinite(value), `${name} ${figure}: ${value}`)
      const { perSecond = 1, p50Ms = 1 } = medians.Plastron ?? {}
      assert.ok(perSecond > 0 && p50Ms > 0, name)
    }
    for (const name of expected) assert.ok(stdout.includes(`| ${name} `), name)
    assert.doesNotMatch(reportTable(report), /NaN|Infinity|undefined/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('a comparison names the paths that are dearer than recorded, after the machine is divided out', () => {
  const line = (cpuMicroseconds: number, calibrationMicroseconds: number) => ({
    figures: { cpuMicroseconds },
    calibrationMicroseconds,
  })
  const recorded = {
    same: line(100, 200),
    dearer: line(100, 200),
    unmeasured: line(100, 200),
  }
  const now = {
    // On a machine of half the speed.
    same: line(200, 400),
    dearer: line(280, 400),
    unrecorded: line(1, 400),
  }
  const text = comparison(now, recorded, 'a date')
  assert.match(text, /^2 paths compared with a date: 1 cost more/)
  assert.match(text, /\ndearer: 1\.40 times/)
  assert.doesNotMatch(text, /\nsame|unrecorded|unmeasured/)
})
