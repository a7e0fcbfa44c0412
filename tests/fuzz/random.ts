import { createHash } from 'node:crypto'
import type { Random } from './target.ts'

/** A generator (xoshiro128**) whose numbers follow from `seed` alone, the same on every machine. */
export function createRandom(seed: string): Random {
  const state = new Uint32Array(4)
  const digest = createHash('sha256').update(seed).digest()
  for (let i = 0; i < 4; i++) state[i] = digest.readUInt32LE(4 * i)

  const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by))
  const next = (): number => {
    const [s0, s1, s2, s3] = state as unknown as [number, number, number, number]
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0
    const t2 = s2 ^ s0
    const t3 = s3 ^ s1
    state[0] = s0 ^ t3
    state[1] = s1 ^ t2
    state[2] = t2 ^ (s1 << 9)
    state[3] = rotate(t3, 11)
    return result
  }
  const int = (below: number): number => (below < 2 ? 0 : next() % below)
  return {
    int,
    chance: percent => int(100) < percent,
    pick: list => list[int(list.length)] as (typeof list)[number],
    bytes: length => Uint8Array.from({ length }, () => next() & 0xff),
  }
}
