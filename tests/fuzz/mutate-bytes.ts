import type { Random } from './target.ts'

const INTERESTING = [
  0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff, 0x0a, 0x0d, 0x20, 0x22, 0x2e, 0x2f, 0x30, 0x5c, 0xa0,
]

/** Changes bytes without knowing what they mean: flips, insertions, removals, repetitions, and parts of other inputs. */
export function mutateBytes(
  input: Uint8Array,
  random: Random,
  pool: readonly Uint8Array[],
  tokens: readonly string[],
  maxBytes: number,
): Uint8Array {
  let bytes = Buffer.from(input)
  for (let rounds = 1 + random.int(random.chance(80) ? 3 : 12); rounds > 0; rounds--) {
    bytes = Buffer.from(once(bytes, random, pool, tokens, maxBytes).subarray(0, maxBytes))
  }
  return Uint8Array.from(bytes)
}

function once(
  bytes: Buffer,
  random: Random,
  pool: readonly Uint8Array[],
  tokens: readonly string[],
  maxBytes: number,
): Buffer {
  const at = random.int(bytes.length + 1)
  const length = random.int(Math.min(bytes.length - at, random.chance(70) ? 8 : 4096) + 1)
  const replace = (from: number, removed: number, added: Uint8Array): Buffer =>
    Buffer.concat([bytes.subarray(0, from), added, bytes.subarray(from + removed)])
  switch (random.int(11)) {
    case 0:
    case 1:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.int(8))
      return bytes
    case 2:
      if (at < bytes.length) bytes[at] = random.pick(INTERESTING)
      return bytes
    case 3:
      return replace(at, 0, random.bytes(1 + random.int(16)))
    case 4:
      return replace(at, length, new Uint8Array(0))
    case 5:
      return replace(at + length, 0, bytes.subarray(at, at + length))
    case 6: {
      const other = random.pick(pool)
      const from = random.int(other.length)
      return replace(at, length, other.subarray(from, from + random.int(256)))
    }
    case 7:
      return bytes.subarray(0, at)
    case 8: {
      if (tokens.length === 0) return replace(at, 0, Uint8Array.of(random.pick(INTERESTING)))
      return replace(at, random.chance(50) ? length : 0, Buffer.from(random.pick(tokens), 'utf8'))
    }
    case 9: {
      const unit = bytes.subarray(at, at + Math.max(1, length))
      const times = random.int(random.chance(90) ? 32 : Math.ceil(maxBytes / Math.max(1, unit.length)))
      return replace(at, 0, Buffer.concat(Array.from({ length: times }, () => unit)))
    }
    default: {
      const second = random.int(bytes.length + 1)
      const [low, high] = at < second ? [at, second] : [second, at]
      const size = Math.min(length, high - low)
      return Buffer.concat([
        bytes.subarray(0, low),
        bytes.subarray(high, high + size),
        bytes.subarray(low + size, high),
        bytes.subarray(low, low + size),
        bytes.subarray(high + size),
      ])
    }
  }
}
