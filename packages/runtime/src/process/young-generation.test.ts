import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

/** Keeps thousands of young objects alive and says how large, in MiB, the nursery became. In a process of its own: flags are the process's. */
const program = `
import { getHeapSpaceStatistics } from 'node:v8'
import { boundYoungGeneration } from ${JSON.stringify(new URL('young-generation.ts', import.meta.url).href)}
using bound = boundYoungGeneration()
const kept = []
let largest = 0
for (let round = 0; round < 150; round++) {
  for (let i = 0; i < 20_000; i++) kept[i % 15_000] = { i, list: [i, i, i] }
  await new Promise(setImmediate)
  const { space_size } = getHeapSpaceStatistics().find(space => space.space_name === 'new_space')
  largest = Math.max(largest, space_size)
}
console.log(largest / 2 ** 20)
`

test('the nursery grows to its bound under load, and not beyond', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  const largest = Number(stdout)
  assert.ok(largest > 2 && largest <= 32, `it became ${stdout.trim()} MiB`)
})
