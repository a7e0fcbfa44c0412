import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

/** Keeps thousands of young objects alive and says how large, in MiB, the nursery became. In a process of its own: flags are the process's. */
const program = (maxCollections: number) => `
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics } from 'node:v8'
import { boundYoungGeneration } from ${JSON.stringify(new URL('young-generation.ts', import.meta.url).href)}
using bound = boundYoungGeneration()
let collections = 0
const observer = new PerformanceObserver(list => void (collections += list.getEntries().length))
observer.observe({ entryTypes: ['gc'] })
const kept = []
let largest = 0
for (let round = 0; round < 150 && collections < ${maxCollections}; round++) {
  for (let i = 0; i < 20_000; i++) kept[i % 15_000] = { i, list: [i, i, i] }
  await new Promise(setImmediate)
  const { space_size } = getHeapSpaceStatistics().find(space => space.space_name === 'new_space')
  largest = Math.max(largest, space_size)
}
console.log(largest / 2 ** 20)
`

async function largestNursery(maxCollections: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program(maxCollections)])
  return Number(stdout)
}

test('the nursery grows to its bound under load, and not beyond', async () => {
  const largest = await largestNursery(Number.POSITIVE_INFINITY)
  assert.ok(largest > 8 && largest <= 32, `it became ${largest} MiB`)
})

test('without load it stays small', async () => {
  const largest = await largestNursery(15)
  // Who watches is told a moment after each collection, so that it may take one step too many.
  assert.ok(largest > 1 && largest <= 16, `it became ${largest} MiB`)
})
