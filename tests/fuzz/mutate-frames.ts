import type { Random } from './target.ts'

const HEAD_BYTES = 9

/** One frame of HTTP/2 as bytes say it. */
export interface WireFrame {
  readonly type: number
  readonly flags: number
  /** With the reserved bit, if it is set. */
  readonly streamId: number
  readonly payload: Buffer
}

/** Cuts bytes into frames (RFC 9113, section 4.1); `rest` is what does not make a whole one. */
export function cutFrames(bytes: Uint8Array): { frames: WireFrame[]; rest: Buffer } {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const frames: WireFrame[] = []
  let at = 0
  while (all.length - at >= HEAD_BYTES) {
    const end = at + HEAD_BYTES + all.readUIntBE(at, 3)
    if (end > all.length) break
    const payload = all.subarray(at + HEAD_BYTES, end)
    frames.push({
      type: all.readUInt8(at + 3),
      flags: all.readUInt8(at + 4),
      streamId: all.readUInt32BE(at + 5),
      payload,
    })
    at = end
  }
  return { frames, rest: all.subarray(at) }
}

/** The bytes of a frame; `length` is what its head says, right or wrong. */
export function joinFrame({ type, flags, streamId, payload }: WireFrame, length = payload.length): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUIntBE(length & 0xff_ffff, 0, 3)
  head.writeUInt8(type & 0xff, 3)
  head.writeUInt8(flags & 0xff, 4)
  head.writeUInt32BE(streamId >>> 0, 5)
  return Buffer.concat([head, payload])
}

const NUMBERS = [0, 1, 2, 31, 4095, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]
const HIGHEST_TYPE = 9

/**
 * Changes bytes of HTTP/2 as frames: some come twice or not at all, change places or come in two, belong to another stream, or have a field
 * changed; frames of another input come in between, or that input's streams after this one's. In half of the cases all lengths stay right.
 *
 * @param extra frames worth inserting
 */
export function mutateFrames(
  input: Uint8Array,
  random: Random,
  pool: readonly Uint8Array[],
  extra: readonly WireFrame[],
): Uint8Array {
  const { frames, rest } = cutFrames(input)
  const keepsLengths = random.chance(50)
  const lengths = new Map<WireFrame, number>()
  for (let rounds = 1 + random.int(random.chance(80) ? 3 : 10); rounds > 0; rounds--) {
    const at = random.int(frames.length)
    const frame = frames[at]
    if (frame === undefined || random.chance(15)) frames.splice(at, 0, random.pick(extra))
    else if (random.chance(8)) frames.splice(random.int(frames.length + 1), 0, ...cutFrames(random.pick(pool)).frames)
    else if (random.chance(9)) frames.push(...moved(cutFrames(random.pick(pool)).frames, highest(frames)))
    else if (!keepsLengths && random.chance(10))
      lengths.set(frame, random.chance(50) ? random.int(64) : random.pick(NUMBERS))
    else frames.splice(at, 1, ...changed(frame, frames, random))
  }
  const pieces = frames.map(frame => joinFrame(frame, lengths.get(frame)))
  return Uint8Array.from(Buffer.concat(keepsLengths ? pieces : [...pieces, rest]))
}

/** What comes in the place of a frame. */
function changed(frame: WireFrame, others: readonly WireFrame[], random: Random): WireFrame[] {
  const { payload, streamId } = frame
  switch (random.int(11)) {
    case 0:
      return Array.from({ length: 2 + random.int(random.chance(80) ? 3 : 150) }, () => frame)
    case 1:
      return []
    case 2:
      return [random.pick(others), frame]
    case 3: {
      const place = random.int(payload.length + 1)
      const [first, second] = [payload.subarray(0, place), payload.subarray(place)]
      const isHeaders = frame.type === 1 || frame.type === 9
      return [
        { ...frame, payload: first, flags: frame.flags & (isHeaders ? ~4 : ~1) },
        { ...frame, payload: second, type: isHeaders ? 9 : frame.type, flags: frame.flags & (isHeaders ? 4 : ~8) },
      ]
    }
    case 4:
      return [{ ...frame, type: random.chance(90) ? random.int(HIGHEST_TYPE + 1) : random.int(256) }]
    case 5:
    case 6:
      return [{ ...frame, flags: frame.flags ^ (1 << random.pick([0, 0, 2, 3, 5, 7])) }]
    case 7:
      return [
        {
          ...frame,
          streamId: random.pick([
            0,
            streamId + 2,
            streamId + 2,
            streamId - 2,
            streamId + 1,
            random.pick(others).streamId,
          ]),
        },
      ]
    case 8: {
      if (payload.length < 4) return [{ ...frame, payload: Buffer.from(random.bytes(random.int(12))) }]
      const bytes = Buffer.from(payload)
      bytes.writeUInt32BE(random.pick(NUMBERS), random.chance(70) ? bytes.length - 4 : random.int(bytes.length - 3))
      return [{ ...frame, payload: bytes }]
    }
    case 9: {
      const size = random.pick([0, 1, 63, 64, 1000, 2001, 16_384, 16_385])
      return [
        {
          ...frame,
          payload: Buffer.alloc(random.chance(50) ? size : random.int(40), payload.length > 0 ? payload : 0),
        },
      ]
    }
    default: {
      const bytes = Buffer.from(payload)
      if (bytes.length > 0) bytes[random.int(bytes.length)] = random.int(256)
      return [{ ...frame, payload: bytes }]
    }
  }
}

function highest(frames: readonly WireFrame[]): number {
  let id = 0
  for (const { type, streamId } of frames) if (type <= HIGHEST_TYPE && streamId < 1 << 20) id = Math.max(id, streamId)
  return id + (id % 2)
}

/** The same calls with later numbers. */
function moved(frames: readonly WireFrame[], by: number): WireFrame[] {
  return frames.map(frame =>
    frame.streamId === 0 || frame.type > HIGHEST_TYPE ? frame : { ...frame, streamId: frame.streamId + by },
  )
}
