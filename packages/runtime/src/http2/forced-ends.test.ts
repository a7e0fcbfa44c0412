import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { Http2Connection } from './connection.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import { ACK, END_HEADERS, END_STREAM, ErrorCode, FrameParser, FrameType, frame, PREFACE, uint32 } from './frames.ts'
import { encodeHeaders } from './header-encoder.ts'
import type { Http2Stream } from './stream.ts'

const limits: ConnectionLimits = {
  maxHeaderBytes: 1 << 12,
  maxHeaders: 16,
  maxStreams: 100,
  maxKeptBytes: 1000,
  maxUnsentBytes: 10_000,
  streamResetBurst: 5,
  streamResetRate: 0,
  tinyFrameBurst: 100,
  tinyFrameRate: 0,
}
const request = encodeHeaders([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/'],
])

/** A server, and what it says to a client that says `bytes`. */
async function said(bytes: readonly Buffer[], onStream: (stream: Http2Stream) => void) {
  const [near, far] = duplexPair()
  const server = new Http2Connection(far, limits, { onStream }, () => 0)
  const frames: { type: number; streamId: number; code: number }[] = []
  const parser = new FrameParser()
  near.on('data', (chunk: Buffer) => {
    for (const { type, streamId, payload } of parser.push(chunk)) {
      const code = type === FrameType.RST_STREAM ? payload.readUInt32BE() : 0
      frames.push({ type, streamId, code: type === FrameType.GOAWAY ? payload.readUInt32BE(4) : code })
    }
  })
  near.write(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0), ...bytes]))
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
  const { streamCount } = server
  near.destroy()
  far.destroy()
  return { frames, streamCount }
}

test('streams that are reset because their requests are kept are among those that end by force', async () => {
  let begun = 0
  const bytes = Array.from({ length: 50 }, (_, i) =>
    Buffer.concat([
      frame(FrameType.HEADERS, END_HEADERS, 2 * i + 1, request),
      frame(FrameType.DATA, 0, 2 * i + 1, Buffer.alloc(1001)),
    ]),
  )
  const { frames } = await said(bytes, stream => {
    begun += 1
    stream.read({ data: piece => piece.length, end: () => undefined })
  })
  assert.equal(begun, limits.streamResetBurst + 1)
  assert.deepEqual(frames.at(-1), { type: FrameType.GOAWAY, streamId: 0, code: ErrorCode.ENHANCE_YOUR_CALM })
})

test('answers that the peer does not read are kept up to a bound and one more', async () => {
  const noWindow = frame(FrameType.SETTINGS, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(0)]))
  const calls = [1, 3, 5, 7].map(id => frame(FrameType.HEADERS, END_HEADERS | END_STREAM, id, request))
  const begun: Http2Stream[] = []
  const { frames, streamCount } = await said([noWindow, ...calls], stream => {
    begun.push(stream)
    // All have begun before the first has an answer.
    if (begun.length === 4) for (const one of begun) one.answer(request, Buffer.alloc(6000), request)
  })
  assert.equal(streamCount, 2)
  const resets = frames.filter(({ type }) => type === FrameType.RST_STREAM)
  assert.deepEqual(resets, [
    { type: FrameType.RST_STREAM, streamId: 5, code: ErrorCode.ENHANCE_YOUR_CALM },
    { type: FrameType.RST_STREAM, streamId: 7, code: ErrorCode.ENHANCE_YOUR_CALM },
  ])
})

test('a whole request that is refused at once is not reset besides', async () => {
  const whole = frame(FrameType.HEADERS, END_HEADERS | END_STREAM, 1, request)
  const { frames } = await said([whole], stream => stream.refuse(request))
  assert.deepEqual(
    frames.map(({ type }) => type),
    [FrameType.SETTINGS, FrameType.SETTINGS, FrameType.HEADERS],
  )
})

test('a goodbye is said once however often the peer answers the first, also with the last stream that there can be', async () => {
  const last = frame(FrameType.HEADERS, END_HEADERS, 2 ** 31 - 1, request)
  const goAway = frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(8))
  const answers = Array.from({ length: 20 }, () => frame(FrameType.PING, ACK, 0, Buffer.from('goodbye!')))
  const { frames, streamCount } = await said([last, goAway, ...answers], stream =>
    stream.read({ data: () => 0, end: () => undefined }),
  )
  assert.equal(streamCount, 1)
  assert.equal(frames.filter(({ type }) => type === FrameType.GOAWAY).length, 2)
})
