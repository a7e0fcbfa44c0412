import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFrame, FrameError, FrameReader } from './frames.ts'
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  GrpcStatus,
  parseGrpcStatus,
  statusOfHttp,
  statusOfReset,
} from './status.ts'

test('messages come out as they went in, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
      fc.infiniteStream(fc.nat({ max: 40 })),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(encodeFrame))
        const reader = new FrameReader(300)
        const read: Uint8Array[] = []
        for (let offset = 0; offset < bytes.length; ) {
          const length = (cuts.next().value ?? 0) + 1
          read.push(...reader.push(bytes.subarray(offset, offset + length)))
          offset += length
        }
        reader.end()
        assert.deepEqual(
          read.map(message => Buffer.from(message)),
          messages.map(message => Buffer.from(message)),
        )
      },
    ),
  )
})

test('a message is refused by its announced length before it is stored, compressed ones and half ones too', () => {
  const huge = Buffer.from([0, 0xff, 0xff, 0xff, 0xff])
  assert.throws(
    () => [...new FrameReader(4096).push(huge)],
    (error: unknown) => error instanceof FrameError && error.reason === 'too-large',
  )
  assert.throws(() => [...new FrameReader(3).push(encodeFrame(Buffer.from('four')))], FrameError)
  for (const flag of [1, 2, 0x80, 0xff]) {
    assert.throws(
      () => [...new FrameReader(10).push(Buffer.from([flag, 0, 0, 0, 0]))],
      (error: unknown) => error instanceof FrameError && error.reason === 'compressed',
    )
  }
  const frame = encodeFrame(Buffer.from('four'))
  for (let length = 1; length < frame.length; length++) {
    const reader = new FrameReader(10)
    assert.deepEqual([...reader.push(frame.subarray(0, length))], [])
    assert.throws(
      () => reader.end(),
      (error: unknown) => error instanceof FrameError && error.reason === 'truncated',
    )
  }
  new FrameReader(0).end()
  assert.equal([...new FrameReader(0).push(encodeFrame(new Uint8Array()))].length, 1)
})

test('one-byte pieces of a large message take linear time', () => {
  const message = new Uint8Array(1_000_000)
  const reader = new FrameReader(1_000_000)
  const begin = performance.now()
  let count = 0
  for (const byte of encodeFrame(message)) count += [...reader.push(Uint8Array.of(byte))].length
  assert.equal(count, 1)
  assert.ok(performance.now() - begin < 5000)
})

test('statuses and messages of gRPC are read without trust', () => {
  assert.equal(parseGrpcStatus('7'), GrpcStatus.PERMISSION_DENIED)
  for (const text of ['17', '99', '-1', '', 'x', '7 ', '1e1', '007'])
    assert.equal(parseGrpcStatus(text), GrpcStatus.UNKNOWN)
  assert.equal(decodeGrpcMessage(encodeGrpcMessage('é: 100 % "x"')), 'é: 100 % "x"')
  assert.equal(decodeGrpcMessage('bad%zzescape'), 'bad%zzescape')
  assert.equal(decodeGrpcMessage('two%0Alines%1B[31m'), 'two lines [31m')
  assert.ok(decodeGrpcMessage('x'.repeat(100_000)).length <= 1024)
  assert.equal(statusOfHttp(503), GrpcStatus.UNAVAILABLE)
  assert.deepEqual([400, 401, 403, 404, 429, 500].map(statusOfHttp), [13, 16, 7, 12, 14, 2])
  assert.deepEqual([1, 7, 8, 11, 12].map(statusOfReset), [13, 14, 1, 8, 7])
})
