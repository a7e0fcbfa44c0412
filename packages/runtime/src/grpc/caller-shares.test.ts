import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { bundleV1 } from '@plastron/api'
import { ErrorCode, FrameParser } from '../http2/frames.ts'
import type { Peer } from '../listeners/peer.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import {
  callHeaders,
  END_HEADERS,
  FrameType,
  frame,
  grpcMessage,
  headerBlock,
  PREFACE,
} from '../testing/http2-frames.ts'
import type { Safeguards } from './safeguards.ts'
import { GrpcServer } from './server.ts'

const KIB = 1024

/** A server and callers at addresses of their own, who write frames. */
function house(safeguards: Partial<Safeguards>) {
  const clock = new FakeClock()
  const refused: string[] = []
  const told = (peer: Peer) => refused.push(peer.kind === 'tls' ? peer.address : '')
  const server = new GrpcServer({ safeguards, clock, onRefused: told })
  server.add(bundleV1.Bundle, { getBundle: async () => ({}) })
  const open: { destroy(): void }[] = []
  return {
    server,
    clock,
    refused,
    connect(address: string) {
      const [near, far] = duplexPair()
      open.push(near, far)
      const resets: number[] = []
      const parser = new FrameParser()
      near.on('error', () => undefined)
      near.on('data', (chunk: Buffer) => {
        for (const { type, payload } of parser.push(chunk))
          if (type === FrameType.RST_STREAM) resets.push(payload.readUInt32BE())
      })
      server.accept(far, { kind: 'tls', address, port: 1 })
      near.write(PREFACE)
      near.write(frame(FrameType.SETTINGS, 0, 0))
      return {
        resets,
        isOpen: () => !far.destroyed,
        close: () => {
          near.destroy()
          far.destroy()
        },
        /** Begins a request of so many octets and does not end it. */
        begin(streamId: number, bytes: number): void {
          const headers = headerBlock(callHeaders('/spire.api.server.bundle.v1.Bundle/GetBundle'))
          near.write(frame(FrameType.HEADERS, END_HEADERS, streamId, headers))
          const message = grpcMessage(Buffer.alloc(bytes + 1))
          for (let at = 0; at < bytes; at += 16 * KIB)
            near.write(frame(FrameType.DATA, 0, streamId, message.subarray(at, Math.min(bytes, at + 16 * KIB))))
        },
      }
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await server[Symbol.asyncDispose]()
    },
  }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
}

test('no caller has more connections than are left for others, and one message a minute says so', async () => {
  await using h = house({ maxConnections: 8 })
  const greedy = Array.from({ length: 7 }, () => h.connect('192.0.2.1'))
  assert.equal(greedy.filter(one => one.isOpen()).length, 4)
  assert.deepEqual(h.refused, ['192.0.2.1'])
  assert.ok(h.connect('192.0.2.2').isOpen())
  greedy[0]?.close()
  await turns()
  assert.ok(h.connect('192.0.2.3').isOpen())
  await h.clock.advance(60_000)
  h.connect('192.0.2.1')
  assert.deepEqual(h.refused, ['192.0.2.1', '192.0.2.1'])
})

test('what all connections keep of requests is bounded, and one caller leaves room for others', async () => {
  await using h = house({ maxKeptBytesInAll: 64 * KIB })
  // 16 KiB of each connection are not counted.
  const greedy = [h.connect('192.0.2.1'), h.connect('192.0.2.1')]
  for (const one of greedy) one.begin(1, 32 * KIB)
  await turns()
  assert.deepEqual(
    greedy.map(one => one.resets),
    [[], []],
  )
  greedy[0]?.begin(3, 8 * KIB)
  const modest = h.connect('192.0.2.2')
  modest.begin(1, 28 * KIB)
  await turns()
  assert.deepEqual(greedy[0]?.resets, [ErrorCode.ENHANCE_YOUR_CALM])
  assert.deepEqual(modest.resets, [])
  // What is closed is given back.
  greedy[1]?.close()
  await turns()
  greedy[0]?.begin(5, 8 * KIB)
  await turns()
  assert.equal(greedy[0]?.resets.length, 1)
})
