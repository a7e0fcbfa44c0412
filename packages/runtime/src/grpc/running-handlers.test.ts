import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { agentV1, bundleV1 } from '@plastron/api'
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
  uint32,
} from '../testing/http2-frames.ts'
import { GrpcServer } from './server.ts'

const MOST = 3

/** A server whose handlers look at nothing until they are released, and a caller who writes frames. */
function stubborn() {
  const released = Promise.withResolvers<void>()
  let running = 0
  const work = async () => {
    running += 1
    await released.promise
    running -= 1
  }
  const server = new GrpcServer({ safeguards: { maxStreamsPerConnection: MOST } })
  server
    .add(bundleV1.Bundle, {
      getBundle: async () => {
        await work()
        return {}
      },
    })
    .add(agentV1.Agent, {
      async *attestAgent() {
        await work()
        yield { step: { case: 'challenge', value: new Uint8Array() } }
      },
    })
  const [near, far] = duplexPair()
  server.accept(far, { kind: 'tls', address: '192.0.2.1', port: 1 })
  const heard: { streamId: number; reset: number | undefined }[] = []
  const parser = new FrameParser()
  near.on('data', (chunk: Buffer) => {
    for (const { type, streamId, payload } of parser.push(chunk)) {
      if (type === FrameType.RST_STREAM) heard.push({ streamId, reset: payload.readUInt32BE() })
      if (type === FrameType.HEADERS) heard.push({ streamId, reset: undefined })
    }
  })
  near.write(PREFACE)
  near.write(frame(FrameType.SETTINGS, 0, 0))
  return {
    heard,
    running: () => running,
    release: () => released.resolve(),
    call(path: string, streamId: number, extra: readonly (readonly [string, string])[] = []): void {
      near.write(frame(FrameType.HEADERS, END_HEADERS, streamId, headerBlock(callHeaders(path, extra))))
      near.write(frame(FrameType.DATA, END_STREAM, streamId, grpcMessage(new Uint8Array())))
    },
    reset: (streamId: number) => void near.write(frame(FrameType.RST_STREAM, 0, streamId, uint32(ErrorCode.CANCEL))),
    async until(condition: () => boolean): Promise<void> {
      while (!condition()) await new Promise(setImmediate)
    },
    async [Symbol.asyncDispose]() {
      released.resolve()
      near.destroy()
      await server[Symbol.asyncDispose]()
    },
  }
}

const PATHS = {
  'single answers': '/spire.api.server.bundle.v1.Bundle/GetBundle',
  'many answers': '/spire.api.server.agent.v1.Agent/AttestAgent',
}

for (const [kind, path] of Object.entries(PATHS)) {
  test(`handlers of ${kind} whose callers have gone count until they have ended`, async () => {
    await using peer = stubborn()
    let id = 1
    for (let i = 0; i < MOST; i += 1, id += 2) {
      peer.call(path, id)
      await peer.until(() => peer.running() === i + 1)
      peer.reset(id)
    }
    peer.call(path, id)
    await peer.until(() => peer.heard.length > 0)
    assert.deepEqual(peer.heard, [{ streamId: id, reset: ErrorCode.REFUSED_STREAM }])
    assert.equal(peer.running(), MOST)
    peer.release()
    await peer.until(() => peer.running() === 0)
    // They have ended one turn before the server hears of it.
    await new Promise(setImmediate)
    peer.call(path, id + 2)
    await peer.until(() => peer.heard.length > 1)
    assert.deepEqual(peer.heard[1], { streamId: id + 2, reset: undefined })
  })
}

test('a deadline that has passed before the call begins is kept, and nothing is warned of', async () => {
  await using peer = stubborn()
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  try {
    peer.call(PATHS['many answers'], 1, [['grpc-timeout', '0n']])
    await peer.until(() => peer.heard.length > 0)
    assert.equal(peer.heard[0]?.streamId, 1)
    assert.deepEqual(warnings, [])
  } finally {
    process.off('warning', warn)
  }
})
