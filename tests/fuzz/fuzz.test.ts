import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import { describe, test } from 'node:test'
import { corpusFolder, readCorpus } from './corpus.ts'
import { execute } from './execute.ts'
import { fuzzInProcess } from './fuzz.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { mutateDer } from './mutate-der.ts'
import { createRandom } from './random.ts'
import { seedOfCommit } from './seed.ts'
import { describeReport } from './supervise.ts'
import type { FuzzTarget } from './target.ts'
import { targetNames } from './targets/index.ts'

/** On a developer's machine each target gets half a second; in CI half a minute, several at a time; in long runs more. */
const seconds = process.env.PLASTRON_TEST_LONG === '1' ? 120 : process.env.CI === 'true' ? 30 : 0.5
const names = await targetNames()
const jobs = process.env.CI === 'true' ? 4 * availableParallelism() : availableParallelism()

function fakeTarget(run: FuzzTarget['run'], options: Partial<FuzzTarget> = {}): FuzzTarget {
  return { name: 'fake', kind: 'bytes', run, allows: error => error instanceof RangeError, ...options }
}

describe('fuzz harness', () => {
  test('an input is accepted, refused with an allowed error, or a finding', async () => {
    const input = Uint8Array.of(1)
    const outcome = async (run: FuzzTarget['run']) => (await execute(fakeTarget(run), input)).kind
    assert.equal(await outcome(() => 'x'), 'accepted')
    assert.equal(await outcome(async () => 'x'), 'accepted')
    const refuse = () => {
      throw new RangeError('no')
    }
    assert.equal(await outcome(refuse), 'refused')
    const fail = () => {
      throw new TypeError('undefined is not a function')
    }
    assert.equal(await outcome(fail), 'finding')
    assert.equal(await outcome(() => Promise.reject(new TypeError('late'))), 'finding')
  })

  test('an input that always takes too long is a finding, one that did once is not', async () => {
    const burn = (milliseconds: number): void => {
      const cpu = process.threadCpuUsage()
      while (process.threadCpuUsage(cpu).user < milliseconds * 1000);
    }
    const slow = fakeTarget(
      () => {
        burn(25)
        return 'x'
      },
      { maxMilliseconds: 20 },
    )
    const outcome = await execute(slow, new Uint8Array(0))
    assert.equal(outcome.kind, 'finding')
    assert.match((outcome as { reason: string }).reason, /took \d+ ms, at most 20/)
    let first = true
    const once = fakeTarget(
      () => {
        if (first) burn(25)
        first = false
        return 'x'
      },
      { maxMilliseconds: 20 },
    )
    assert.equal((await execute(once, new Uint8Array(0))).kind, 'accepted')
  })

  test('an input that leaves too much memory behind is a finding', async () => {
    const kept: unknown[] = []
    const hungry = fakeTarget(
      () => {
        kept.push(Array.from({ length: 200 }, () => Array.from({ length: 100_000 }, (_, i) => i * 1.5)))
        return `${kept.length}`
      },
      { maxMilliseconds: 60_000 },
    )
    assert.equal((await execute(hungry, new Uint8Array(0))).kind, 'finding')
  })

  test('the same seed gives the same inputs, and mutated DER is well-formed where it is meant to be', () => {
    const start = readCorpus('certificate')[0]?.input as Uint8Array
    const make = (seed: string): string => {
      const random = createRandom(seed)
      return Array.from({ length: 50 }, () => {
        const bytes = mutateBytes(start, random, [start], [], 65_536)
        return `${Buffer.from(mutateDer(start, random, [start]) as Uint8Array).toString('hex')} ${Buffer.from(bytes).toString('hex')}`
      }).join()
    }
    assert.equal(make('a'), make('a'))
    assert.notEqual(make('a'), make('b'))
    assert.match(seedOfCommit(import.meta.dirname), /^(?:[0-9a-f]{12}|no-commit)$/)
    assert.equal(seedOfCommit('/'), 'no-commit')
  })

  test('every file of the corpus has a note, belongs to a target, and no note is left over', () => {
    const notes = Object.keys(JSON.parse(readFileSync(`${corpusFolder}/notes.json`, 'utf8')) as object)
    const files = names.flatMap(name => readCorpus(name).map(({ path }) => relative(corpusFolder, path)))
    assert.deepEqual(notes.toSorted(), files.toSorted())
    const folders = readdirSync(corpusFolder).filter(name => name !== 'notes.json')
    assert.deepEqual(folders.toSorted(), names.toSorted())
  })
})

describe('fuzz targets', { concurrency: jobs }, () => {
  const seed = seedOfCommit(import.meta.dirname)
  for (const target of names) {
    test(`${target}: corpus and ${seconds} s of mutated inputs, seed ${seed}`, async t => {
      const report = await fuzzInProcess(target, { seconds, seed })
      t.diagnostic(describeReport(report))
      assert.equal(report.findings.length, 0, describeReport(report))
      assert.ok(report.replayed > 0, 'there is no corpus')
    })
  }
})
