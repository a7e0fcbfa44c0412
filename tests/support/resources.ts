import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { until } from './cluster.ts'

/** What a process holds of the machine. */
export interface Resources {
  readonly descriptors: number
  readonly rssMiB: number
}

/** Reads /proc. */
export function resourcesOf(pid: number): Resources {
  const rssKiB = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, rssMiB: Number(rssKiB) / 1024 }
}

/**
 * Waits for the process to hold no more descriptors than before, which closing connections may take a moment for, and no more than
 * `growthMiB` more memory.
 */
export async function untilBackTo(before: Resources, pid: number, growthMiB: number): Promise<void> {
  await until(() => resourcesOf(pid).descriptors <= before.descriptors, 30_000).catch(() => undefined)
  const now = resourcesOf(pid)
  assert.ok(now.descriptors <= before.descriptors, `${now.descriptors} descriptors, before ${before.descriptors}`)
  assert.ok(now.rssMiB <= before.rssMiB + growthMiB, `${now.rssMiB} MiB, before ${before.rssMiB}`)
}
