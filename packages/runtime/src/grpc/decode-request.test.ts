import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import type { MessageShape } from '@bufbuild/protobuf'
import { bundleV1, entryV1 } from '@plastron/api'
import { FrameParser } from '../http2/frames.ts'
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
import type { Call } from './call.ts'
import { decodeRequest } from './decode-request.ts'
import { GrpcError } from './grpc-error.ts'
import { GrpcServer } from './server.ts'

test('fields that a request does not have are not kept', () => {
  const request = decodeRequest(bundleV1.GetBundleRequestSchema, Buffer.of(0x78, 0, 0x78, 1))
  assert.equal(request.$unknown, undefined)
})

test('a list of more elements than make sense is refused before an object is made of each', () => {
  const decode = (elements: number) =>
    decodeRequest(
      entryV1.BatchCreateEntryRequestSchema,
      Buffer.alloc(2 * elements).fill(Buffer.of(0x0a, 0)),
    ) as MessageShape<typeof entryV1.BatchCreateEntryRequestSchema>
  assert.equal(decode(65_536).entries.length, 65_536)
  assert.throws(() => decode(65_537), { code: 'RESOURCE_EXHAUSTED', message: 'the request has more than 65536 fields' })
  // One field may be as long as it likes.
  const long = decodeRequest(
    bundleV1.GetBundleRequestSchema,
    Buffer.concat([Buffer.of(0x7a, 0x80, 0x80, 0x10), Buffer.alloc(1 << 18)]),
  )
  assert.equal(long.$typeName, 'spire.api.server.bundle.v1.GetBundleRequest')
  assert.throws(() => decodeRequest(bundleV1.GetBundleRequestSchema, Buffer.alloc(1 << 18)), { code: 'INTERNAL' })
})

/** The last headers of the answer to a request of these bytes, as text: nothing in them is compressed. */
async function answerTo(request: Uint8Array, stage: (call: Call, next: () => Promise<void>) => Promise<void>) {
  await using server = new GrpcServer({ interceptors: [stage] })
  server.add(bundleV1.Bundle, { getBundle: async () => ({ trustDomain: 'example.org' }) })
  const [near, far] = duplexPair()
  server.accept(far, { kind: 'tls', address: '192.0.2.1', port: 1 })
  const answered = Promise.withResolvers<string>()
  const parser = new FrameParser()
  near.on('data', (chunk: Buffer) => {
    for (const { type, flags, payload } of parser.push(chunk))
      if (type === FrameType.HEADERS && (flags & END_STREAM) !== 0) answered.resolve(payload.toString('latin1'))
  })
  near.write(PREFACE)
  near.write(frame(FrameType.SETTINGS, 0, 0))
  const headers = headerBlock(callHeaders('/spire.api.server.bundle.v1.Bundle/GetBundle'))
  near.write(frame(FrameType.HEADERS, END_HEADERS, 1, headers))
  near.write(frame(FrameType.DATA, END_STREAM, 1, grpcMessage(request)))
  try {
    return await answered.promise
  } finally {
    near.destroy()
  }
}

const NONSENSE = Buffer.of(0xff, 0xff)

test('a caller who is refused has not had his request decoded', async () => {
  const answer = await answerTo(NONSENSE, () => Promise.reject(new GrpcError('PERMISSION_DENIED', 'nobody')))
  assert.match(answer, /grpc-status\W7.*nobody/s)
})

test('a request that cannot be decoded is refused by whoever looks at it first', async () => {
  let looked = 0
  const looking = async (call: Call, next: () => Promise<void>) => {
    looked += 1
    assert.equal(call.request?.$typeName, 'spire.api.server.bundle.v1.GetBundleRequest')
    looked += 1
    await next()
  }
  assert.match(await answerTo(NONSENSE, looking), /grpc-status\W13.*is%20not%20a/s)
  assert.equal(looked, 1)
  assert.match(await answerTo(NONSENSE, (_, next) => next()), /grpc-status\W13.*is%20not%20a/s)
  assert.match(await answerTo(Buffer.alloc(0), looking), /grpc-status\W0/)
  assert.equal(looked, 3)
})
