import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { inflated } from './inflate.ts'
import { FrameReader, framed, type MessageFrame } from './message-frames.ts'
import { deadlineOf } from './timeout.ts'

/** Everything a reader makes of these chunks. */
function read(chunks: readonly Buffer[], maxBytes = 1 << 20): { frames: MessageFrame[]; isInside: boolean } {
  const frames: MessageFrame[] = []
  const reader = new FrameReader(maxBytes)
  for (const chunk of chunks) reader.push(chunk, frame => frames.push(frame))
  return { frames, isInside: reader.isInside }
}

describe('messages in a stream', () => {
  test('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }),
        (messages, cuts) => {
          const stream = Buffer.concat(messages.map(framed))
          const chunks: Buffer[] = []
          for (let at = 0, cut = 0; at < stream.length; cut++) {
            const size = cuts[cut % cuts.length] ?? 1
            chunks.push(stream.subarray(at, at + size))
            at += size
          }
          const { frames, isInside } = read(chunks)
          assert.equal(isInside, false)
          assert.deepEqual(
            frames.map(({ bytes }) => Buffer.from(bytes)),
            messages.map(message => Buffer.from(message)),
          )
          assert.ok(frames.every(({ compressed }) => !compressed))
        },
      ),
    )
  })

  test('one that is cut off is noticed', () => {
    const whole = framed(Buffer.alloc(10))
    for (let length = 1; length < whole.length; length++)
      assert.deepEqual(read([whole.subarray(0, length)]), { frames: [], isInside: true })
  })

  test('one that says it is too large is refused before it arrives, and so is a prefix that is none', () => {
    const code = (expected: string) => ({ name: 'GrpcError', code: expected })
    assert.throws(() => read([framed(Buffer.alloc(101)).subarray(0, 5)], 100), code('RESOURCE_EXHAUSTED'))
    assert.equal(read([framed(Buffer.alloc(100))], 100).frames.length, 1)
    assert.throws(() => read([Buffer.of(2, 0, 0, 0, 0)]), code('INTERNAL'))
    assert.throws(() => read([Buffer.of(0, 0xff, 0xff), Buffer.of(0xff, 0xff)]), code('RESOURCE_EXHAUSTED'))
  })

  test('compressed ones are inflated within the bound', async () => {
    const wanted = () => true
    const text = Buffer.from('a'.repeat(1000))
    assert.deepEqual(await inflated(gzipSync(text), 'gzip', 1000, wanted), text)
    assert.deepEqual(await inflated(deflateSync(text), 'deflate', 1000, wanted), text)
    await assert.rejects(inflated(gzipSync(text), 'gzip', 999, wanted), { code: 'RESOURCE_EXHAUSTED' })
    await assert.rejects(inflated(text, 'gzip', 1000, wanted), { code: 'INTERNAL' })
    await assert.rejects(inflated(text, 'br', 1000, wanted), { code: 'UNIMPLEMENTED' })
    await assert.rejects(inflated(text, undefined, 1000, wanted), { code: 'INTERNAL' })
    await assert.rejects(
      inflated(gzipSync(text), 'gzip', 1000, () => false),
      { code: 'CANCELLED' },
    )
  })

  test('compressed ones wait their turn, and not too many of them', async () => {
    const packed = gzipSync('a')
    const all = Array.from({ length: 1100 }, () => inflated(packed, 'gzip', 10, () => true))
    const outcomes = await Promise.allSettled(all)
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    assert.equal(refused.length, 1100 - 1024 - 2)
    assert.ok(refused.every(one => one.status === 'rejected' && one.reason.code === 'UNAVAILABLE'))
    assert.equal((await inflated(packed, 'gzip', 10, () => true)).length, 1)
  })
})

test('a timeout in every unit, weeks as none, and what is no timeout', () => {
  const cases = { '2H': 7_200_000, '3M': 180_000, '4S': 4000, '5m': 5, '6000u': 6, '7000000n': 7, '0S': 0 }
  for (const [header, ms] of Object.entries(cases)) assert.equal(deadlineOf(header, 1000), 1000 + ms, header)
  assert.equal(deadlineOf(undefined, 1000), Number.POSITIVE_INFINITY)
  assert.equal(deadlineOf('99999999H', 1000), Number.POSITIVE_INFINITY)
  for (const header of ['', 'S', '1', '1s', '-1S', '1.5S', ' 1S', '123456789S', '1S1S'])
    assert.throws(() => deadlineOf(header, 0), { code: 'INTERNAL' }, header)
})
