import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { create, toBinary } from '@bufbuild/protobuf'
import { bundleV1 } from '@plastron/api'
import { ErrorCode, FrameParser } from '../http2/frames.ts'
import {
  callHeaders,
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  grpcMessage,
  headerBlock,
  PREFACE,
} from '../testing/http2-frames.ts'
import { FrameReader, framed } from './message-frames.ts'
import { GrpcServer } from './server.ts'

/** A piece as a socket gives it: among much else in the same memory, which is used again once nobody holds a piece of it. */
function pushPieces(message: Buffer, pieceBytes: number, reader: FrameReader, got: Uint8Array[]): void {
  for (let at = 0; at < message.length; at += pieceBytes) {
    const read = Buffer.allocUnsafeSlow(64 << 10)
    const bytes = message.copy(read, 1000, at, at + pieceBytes)
    reader.push(read.subarray(1000, 1000 + bytes), one => got.push(Buffer.from(one.bytes)))
    read.fill(0xee)
  }
}

test('a message in small pieces does not hold what came with each of them', () => {
  const got: Uint8Array[] = []
  const reader = new FrameReader(1 << 20)
  const message = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251))
  pushPieces(framed(message), 64, reader, got)
  assert.deepEqual(
    got.map(bytes => Buffer.from(bytes)),
    [message],
  )
})

test('what compressed requests grow to counts for their connection', async () => {
  const begun = Promise.withResolvers<void>()
  const done = Promise.withResolvers<void>()
  let running = 0
  await using server = new GrpcServer({ safeguards: { maxKeptBytes: 25_000 } })
  server.add(bundleV1.Bundle, {
    countBundles: async () => {
      running += 1
      if (running === 2) begun.resolve()
      await done.promise
      return {}
    },
  })
  const [near, far] = duplexPair()
  server.accept(far, { kind: 'tls', address: '192.0.2.1', port: 1 })
  const reset = Promise.withResolvers<number>()
  const parser = new FrameParser()
  near.on('data', (chunk: Buffer) => {
    for (const { type, payload } of parser.push(chunk))
      if (type === FrameType.RST_STREAM) reset.resolve(payload.readUInt32BE())
  })
  try {
    // A field that the message does not have is kept too.
    const large = Buffer.concat([
      toBinary(bundleV1.CountBundlesRequestSchema, create(bundleV1.CountBundlesRequestSchema)),
      Buffer.of(0x7a, 0x90, 0x4e),
      Buffer.alloc(10_000),
    ])
    const headers = headerBlock(
      callHeaders('/spire.api.server.bundle.v1.Bundle/CountBundles', [['grpc-encoding', 'gzip']]),
    )
    near.write(PREFACE)
    near.write(frame(FrameType.SETTINGS, 0, 0))
    for (const id of [1, 3, 5]) {
      near.write(frame(FrameType.HEADERS, END_HEADERS, id, headers))
      near.write(frame(FrameType.DATA, END_STREAM, id, grpcMessage(gzipSync(large), true)))
    }
    await begun.promise
    assert.equal(await reset.promise, ErrorCode.ENHANCE_YOUR_CALM)
    assert.equal(running, 2)
  } finally {
    done.resolve()
    near.destroy()
    far.destroy()
  }
})
