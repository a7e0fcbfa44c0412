import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { bundleV1 } from '@plastron/api'
import { ErrorCode, FrameParser, uint32 } from '../http2/frames.ts'
import type { Peer } from '../listeners/peer.ts'
import { FakeClock } from '../testing/fake-clock.ts'
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
import type { Safeguards } from './safeguards.ts'
import { GrpcServer } from './server.ts'
import { EncodedMessage } from './service.ts'

const KIB = 1024

/** A server and callers at addresses of their own, who write frames and are answered so many bytes. */
function house(safeguards: Partial<Safeguards>, answerBytes = 0) {
  const clock = new FakeClock()
  const refused: string[] = []
  const told = (peer: Peer) => refused.push(peer.kind === 'tls' ? peer.address : '')
  const server = new GrpcServer({ safeguards, clock, onRefused: told })
  server.add(bundleV1.Bundle, { getBundle: async () => new EncodedMessage(Buffer.alloc(answerBytes)) })
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
      let got = 0
      near.on('data', (chunk: Buffer) => {
        got += chunk.length
      })
      return {
        resets,
        /** Octets that have come back, frames included. */
        got: () => got,
        /** Reads no more. */
        pause: () => near.pause(),
        /** Allows so many more octets of answers. */
        widen(bytes: number): void {
          near.write(frame(FrameType.SETTINGS, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(bytes)])))
          near.write(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(bytes)))
        },
        ask(streamId: number): void {
          const headers = headerBlock(callHeaders('/spire.api.server.bundle.v1.Bundle/GetBundle'))
          near.write(frame(FrameType.HEADERS, END_HEADERS, streamId, headers))
          near.write(frame(FrameType.DATA, END_STREAM, streamId, grpcMessage(Buffer.alloc(0))))
        },
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

test('answers that wait for windows count among what is kept for all, and one caller leaves room for others', async () => {
  // Of an answer of 128 KiB a window of 64 leaves 64, and 16 of each connection are not counted.
  await using h = house({ maxKeptBytesInAll: 300 * KIB }, 128 * KIB)
  const greedy = [h.connect('192.0.2.1'), h.connect('192.0.2.1')]
  for (const one of greedy) {
    one.ask(1)
    await turns()
  }
  assert.deepEqual(
    greedy.map(one => one.resets),
    [[], [ErrorCode.ENHANCE_YOUR_CALM]],
  )
  const modest = h.connect('192.0.2.2')
  modest.ask(1)
  await turns()
  assert.deepEqual(modest.resets, [])
  // What is closed is given back.
  greedy[0]?.close()
  await turns()
  greedy[1]?.ask(3)
  await turns()
  assert.equal(greedy[1]?.resets.length, 1)
})

test('who opens its windows and does not read is cut when there is no room for what waits in its socket', async () => {
  await using h = house({ maxKeptBytesInAll: 600 * KIB }, 16_000)
  const ask = (one: ReturnType<typeof h.connect>) => {
    one.widen(1 << 20)
    for (let answer = 0; answer < 12; answer++) one.ask(1 + 2 * answer)
  }
  const deaf = [h.connect('192.0.2.1'), h.connect('192.0.2.1')]
  for (const one of deaf) {
    one.pause()
    ask(one)
    await turns()
  }
  assert.deepEqual(
    deaf.map(one => one.isOpen()),
    [true, false],
  )
  const reading = h.connect('192.0.2.2')
  ask(reading)
  await turns()
  assert.ok(reading.got() > 12 * 16_000)
})
