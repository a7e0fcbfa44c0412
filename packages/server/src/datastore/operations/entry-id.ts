import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(10 * 256)
let used = pool.length
const hex = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'))

/**
 * A UUID of version 7 (RFC 9562): 48 bits of time and 74 random ones. Ids that grow keep the index of ids compact, so
 * that storing an entry costs the same however many there are.
 */
export function newEntryId(nowMs: number): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used, used + 10)
  used += 10
  const time = Math.floor(nowMs).toString(16).padStart(12, '0')
  const version = hex[0x70 | (random[0]! & 0x0f)]! + hex[random[1]!]!
  const variant = hex[0x80 | (random[2]! & 0x3f)]! + hex[random[3]!]!
  let node = ''
  for (let index = 4; index < 10; index++) node += hex[random[index]!]!
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${node}`
}
