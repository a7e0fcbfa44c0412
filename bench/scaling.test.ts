import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { repositoryRoot } from '../tests/support/cluster.ts'
import { type Recorded, readRecorded } from './recorded.ts'
import { scalingPage } from './scaling.ts'
import { type Assumptions, needsOf, type ServerCosts } from './scaling-model.ts'

test('docs/scaling.md is what bench/scaling.ts computes from the recorded costs', () => {
  const page = scalingPage(readRecorded() as Recorded)
  assert.equal(readFileSync(join(repositoryRoot, 'docs/scaling.md'), 'utf8'), page)
  assert.doesNotMatch(page, /NaN|Infinity|undefined/)
})

test('needs follow from costs and assumptions', () => {
  const costs: ServerCosts = {
    attestMicroseconds: 4_000,
    x509Microseconds: 100,
    jwtMicroseconds: 50,
    entryMicroseconds: 40,
    watchPercent: 0.001,
    agentBytes: 100_000,
    entryBytes: 1_000,
    baseBytes: 100_000_000,
  }
  const assumed: Assumptions = {
    workloadsPerAgent: 10,
    x509LifetimeSeconds: 2_000,
    jwtsPerAgent: 2,
    jwtLifetimeSeconds: 200,
    entriesPerAgent: 2,
    changesPerSecond: 1,
    agentsPerChange: 100,
    deltaMicroseconds: 100,
    coresPerServer: 2,
    utilisation: 0.5,
    recoverySeconds: 100,
    memoryHeadroom: 2,
    agentsPerRegion: 50_000,
  }
  const { regions, region } = needsOf(100_000, costs, assumed)
  assert.equal(regions, 2)
  assert.equal(region.agents, 50_000)
  assert.deepEqual(
    Object.values(region.cores).map(value => Number(value.toFixed(6))),
    [
      0.5, // 50,000 × 0.001 %
      0.05, // 500 a second × 100 µs
      0.05, // 1,000 a second × 50 µs
      0.0002, // 5 a second × 40 µs
      0.05, // 500 a second × 100 µs
    ],
  )
  assert.equal(region.serversForWork, 1)
  // 50,000 × (4 ms + 10 × 0.1 ms) = 250 core seconds, in 100 s on 2 cores each.
  assert.equal(region.serversForReturn, 2)
  assert.equal(region.servers, 3)
  assert.equal(region.agentsPerServer, 25_000)
  const held = 100_000_000 + 100_000 * 1_000 + 25_000 * 100_000
  assert.equal(region.memoryGibPerServer, (held * 2) / 2 ** 30)
  assert.equal(region.databaseWritesPerSecond, 55)
})
