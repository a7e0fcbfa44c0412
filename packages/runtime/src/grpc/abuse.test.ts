import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { agentV1, bundleV1 } from '@plastron/api'
import { listenUnix } from '../listeners/listen-unix.ts'
import {
  ACK,
  callHeaders,
  END_HEADERS,
  END_STREAM,
  FrameType,
  frame,
  grpcMessage,
  headerBlock,
  PREFACE,
  pour,
  uint32,
} from '../testing/http2-frames.ts'
import { tempFolder } from '../testing/temp-folder.ts'
import { connectUnix } from './connect-unix.ts'
import { GrpcServer } from './server.ts'

const GET_BUNDLE = '/spire.api.server.bundle.v1.Bundle/GetBundle'
const MIB = 1 << 20

/** A server on a Unix socket, one client that behaves, and raw connections that need not. */
async function house() {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempFolder())
  const faults: unknown[] = []
  const server = stack.use(new GrpcServer({ onUnexpectedError: error => faults.push(error) }))
  server.add(bundleV1.Bundle, { getBundle: async () => ({ trustDomain: 'example.org' }) }).add(agentV1.Agent, {
    async *attestAgent(requests) {
      for await (const _ of requests) yield { step: { case: 'challenge', value: new Uint8Array() } }
    },
  })
  const path = join(folder.path, 's')
  stack.use(
    await listenUnix({
      path,
      mode: 0o700,
      folderMode: 0o700,
      lock: { held: true },
      onConnection: (socket, peer) => server.accept(socket, peer),
    }),
  )
  const good = stack.use(connectUnix(path)).client(bundleV1.Bundle)
  await good.getBundle({})
  const sockets: Socket[] = []
  stack.defer(() => {
    for (const socket of sockets) socket.destroy()
  })
  const owned = stack.move()
  return {
    server,
    good,
    faults,
    /** A connection that has said the preface and its settings, and collects what it gets. */
    raw() {
      const socket = connect(path)
      sockets.push(socket)
      const received: Buffer[] = []
      socket.on('data', chunk => received.push(chunk))
      socket.on('error', () => undefined)
      const closed = new Promise<void>(done => socket.once('close', () => done()))
      socket.write(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0)]))
      return { socket, closed, received: () => Buffer.concat(received) }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

type House = Awaited<ReturnType<typeof house>>

/** Lets an attack run while another client calls, and holds the server to its bounds. */
async function withstands(target: House, attack: () => Promise<void>, maxMiB = 96): Promise<void> {
  const before = process.memoryUsage().rss
  let over = false
  const attacking = attack().finally(() => {
    over = true
  })
  let calls = 0
  let slowest = 0
  while (!over || calls < 10) {
    const start = performance.now()
    assert.equal((await target.good.getBundle({}, { timeoutMs: 20_000 })).trustDomain, 'example.org')
    slowest = Math.max(slowest, performance.now() - start)
    calls += 1
    await new Promise(setImmediate)
  }
  await attacking
  const grown = (process.memoryUsage().rss - before) / MIB
  assert.ok(grown < maxMiB, `memory grew by ${grown.toFixed(0)} MiB`)
  assert.ok(slowest < 5000, `another client waited ${slowest.toFixed(0)} ms`)
  assert.deepEqual(target.faults, [])
}

function* times<T>(count: number, make: (i: number) => T): Generator<T> {
  for (let i = 0; i < count; i++) yield make(i)
}

/** Client streams have odd numbers. */
const id = (i: number): number => 2 * i + 1
const call = (streamId: number, flags = END_HEADERS): Buffer =>
  frame(FrameType.HEADERS, flags, streamId, headerBlock(callHeaders(GET_BUNDLE)))

describe('ADV-08 HTTP/2 floods end the connection that makes them, and nobody else notices', () => {
  test('rapid reset', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket, closed } = target.raw()
      await pour(
        socket,
        times(20_000, i => Buffer.concat([call(id(i)), frame(FrameType.RST_STREAM, 0, id(i), uint32(8))])),
      )
      await closed
    })
  })

  test('CONTINUATION without end', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket, closed } = target.raw()
      const piece = headerBlock([['x', 'y'.repeat(1000)]])
      socket.write(frame(FrameType.HEADERS, 0, 1, headerBlock(callHeaders(GET_BUNDLE))))
      await pour(
        socket,
        times(100_000, () => frame(FrameType.CONTINUATION, 0, 1, piece)),
      )
      await closed
    })
  })

  test('SETTINGS, each of which asks for an answer that is not read', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket, closed } = target.raw()
      socket.pause()
      const settings = frame(FrameType.SETTINGS, 0, 0, Buffer.concat([Buffer.of(0, 3), uint32(100)]))
      await pour(
        socket,
        times(300, () => Buffer.concat(Array(1000).fill(settings))),
      )
      socket.resume()
      socket.end()
      await closed
    })
  })

  test('PING, each of which asks for an answer that is not read', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket, closed } = target.raw()
      socket.pause()
      const ping = frame(FrameType.PING, 0, 0, Buffer.alloc(8))
      await pour(
        socket,
        times(300, () => Buffer.concat(Array(1000).fill(ping))),
      )
      socket.resume()
      socket.end()
      await closed
    })
  })

  test('empty frames', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket } = target.raw()
      socket.write(call(1))
      const empty = frame(FrameType.DATA, 0, 1)
      await pour(
        socket,
        times(100, () => Buffer.concat(Array(1000).fill(empty))),
      )
      socket.destroy()
    })
  })

  test('messages in frames of one byte', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket, closed } = target.raw()
      socket.write(call(1))
      // A message of 4 MiB, if the server let it come to that.
      socket.write(frame(FrameType.DATA, 0, 1, Buffer.concat([Buffer.of(0), uint32(4 * MIB - 1)])))
      const crumb = frame(FrameType.DATA, 0, 1, Buffer.of(0))
      await pour(
        socket,
        times(4 * 1024, () => Buffer.concat(Array(1024).fill(crumb))),
      )
      await closed
    })
  })

  test('more streams than allowed', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket } = target.raw()
      await pour(
        socket,
        times(10_000, i => call(id(i))),
      )
      socket.destroy()
      while (target.server.connectionCount > 1) await new Promise(setImmediate)
    })
    assert.equal(target.server.callCount, 0)
  })

  test('windows that overflow', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket, closed } = target.raw()
      socket.write(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1)))
      socket.write(frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1)))
      await closed
    })
  })

  test('header compression that grows, and indices that do not exist', async () => {
    await using target = await house()
    await withstands(target, async () => {
      // One header of 4,000 bytes enters the table (literal with indexing, 0x40) and is then named 10,000 times by one byte each (0xbe).
      const bomb = target.raw()
      const large = headerBlock([['x', 'y'.repeat(3900)]])
      large[0] = 0x40
      const block = Buffer.concat([headerBlock(callHeaders(GET_BUNDLE)), large, Buffer.alloc(10_000, 0xbe)])
      bomb.socket.write(frame(FrameType.HEADERS, END_HEADERS | END_STREAM, 1, block))
      bomb.socket.end()
      await bomb.closed
      const bad = target.raw()
      bad.socket.write(frame(FrameType.HEADERS, END_HEADERS, 1, Buffer.of(0xff, 0xff, 0xff, 0xff, 0x0f)))
      await bad.closed
    })
  })

  test('frames that make no sense', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const nonsense = [
        frame(FrameType.DATA, 0, 1, Buffer.alloc(10)),
        frame(FrameType.HEADERS, END_HEADERS, 0, headerBlock(callHeaders(GET_BUNDLE))),
        frame(FrameType.HEADERS, END_HEADERS, 2, headerBlock(callHeaders(GET_BUNDLE))),
        frame(FrameType.PUSH_PROMISE, END_HEADERS, 1, Buffer.alloc(8)),
        frame(FrameType.SETTINGS, ACK, 0, Buffer.alloc(6)),
        frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(5)),
        frame(FrameType.PING, 0, 0, Buffer.alloc(7)),
        frame(FrameType.CONTINUATION, END_HEADERS, 1, Buffer.alloc(3)),
        frame(FrameType.RST_STREAM, 0, 2 ** 31 - 1, uint32(0)),
        Buffer.concat([Buffer.of(0xff, 0xff, 0xff), frame(FrameType.DATA, 0, 1).subarray(3)]),
        randomBytes(4096),
      ]
      for (const bytes of nonsense) {
        const { socket, closed } = target.raw()
        socket.write(bytes)
        socket.end()
        await closed
      }
      const highest = target.raw()
      highest.socket.write(call(2 ** 31 - 1, END_HEADERS))
      highest.socket.write(frame(FrameType.DATA, END_STREAM, 2 ** 31 - 1, grpcMessage(new Uint8Array())))
      highest.socket.end()
      await highest.closed
    })
  })

  test('no preface at all', async () => {
    await using target = await house()
    await withstands(target, async () => {
      const { socket } = target.raw()
      socket.destroy()
    })
  })
})

test('a header named __proto__ is a header', async () => {
  await using target = await house()
  await withstands(target, async () => {
    const names = [
      ['__proto__', 'x'],
      ['constructor', 'y'],
      ['__proto__', 'z'],
    ] as const
    const { socket, received } = target.raw()
    socket.write(frame(FrameType.HEADERS, END_HEADERS, 1, headerBlock(callHeaders(GET_BUNDLE, names))))
    socket.write(frame(FrameType.DATA, END_STREAM, 1, grpcMessage(new Uint8Array())))
    while (!received().includes('example.org')) await new Promise(setImmediate)
  })
  assert.equal(({} as Record<string, unknown>).x, undefined)
})

test('the path of a socket as the authority, as Java sends it, plain and compressed', async () => {
  await using target = await house()
  // `/a/b` in the code of RFC 7541, appendix B: 011000 00011 011000 100011, and ones to the end of the octet.
  const authorities = [
    Buffer.from([9, ...Buffer.from('/a/b.sock')]),
    Buffer.of(0x83, 0b01100000, 0b01101100, 0b01000111),
  ]
  for (const authority of authorities) {
    const { socket, received } = target.raw()
    const rest = callHeaders(GET_BUNDLE).filter(([name]) => name !== ':authority')
    // Literal with indexing, name from the static table.
    const block = Buffer.concat([Buffer.of(0x41), authority, headerBlock(rest)])
    socket.write(frame(FrameType.HEADERS, END_HEADERS, 1, block))
    socket.write(frame(FrameType.DATA, END_STREAM, 1, grpcMessage(new Uint8Array())))
    while (!received().includes('example.org')) await new Promise(setImmediate)
  }
})

test('callers that reset their calls at any moment cost a call each, and not the process', async () => {
  await using target = await house()
  const rejections: unknown[] = []
  const note = (reason: unknown) => rejections.push(reason)
  process.on('unhandledRejection', note)
  process.on('uncaughtException', note)
  try {
    for (let turns = 0; turns < 60; turns++) {
      const { socket } = target.raw()
      for (let i = 0; i < 20; i++) {
        socket.write(call(id(i)))
        socket.write(frame(FrameType.DATA, END_STREAM, id(i), grpcMessage(new Uint8Array())))
        for (let turn = 0; turn < turns % 12; turn++) await new Promise(setImmediate)
        socket.write(frame(FrameType.RST_STREAM, 0, id(i), uint32(8)))
      }
      socket.destroy()
    }
    while (target.server.callCount > 0) await new Promise(setImmediate)
    assert.equal((await target.good.getBundle({})).trustDomain, 'example.org')
    assert.deepEqual(rejections, [])
    assert.deepEqual(target.faults, [])
  } finally {
    process.off('unhandledRejection', note)
    process.off('uncaughtException', note)
  }
})

/**
 * A server whose streaming method does what `handler` does, never reading its requests, and a raw connection on which more of them lie than are
 * read ahead. An idle connection is ended, and one with a stream is not idle.
 */
async function unreadRequests(handler: (signal: AbortSignal) => Promise<void>) {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempFolder())
  const server = stack.use(new GrpcServer({ safeguards: { maxIdleMs: 50 } }))
  server.add(agentV1.Agent, {
    async *attestAgent(_requests, ongoing) {
      await handler(ongoing.signal)
      yield { step: { case: 'challenge', value: new Uint8Array() } }
    },
  })
  const path = join(folder.path, 's')
  const options = { path, mode: 0o700, folderMode: 0o700, lock: { held: true } }
  stack.use(await listenUnix({ ...options, onConnection: (socket, peer) => server.accept(socket, peer) }))
  const socket = connect(path)
  socket.on('error', () => undefined)
  socket.resume()
  const closed = new Promise<void>(done => socket.once('close', () => done()))
  stack.defer(() => void socket.destroy())
  socket.write(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0)]))
  const requests = Array.from({ length: 3 }, () => frame(FrameType.DATA, 0, 1, grpcMessage(Buffer.alloc(16_000))))
  const headers = headerBlock(callHeaders('/spire.api.server.agent.v1.Agent/AttestAgent'))
  socket.write(Buffer.concat([frame(FrameType.HEADERS, END_HEADERS, 1, headers), ...requests]))
  const owned = stack.move()
  return { server, socket, closed, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

for (const code of [0, 8]) {
  test(`a call that is reset with code ${code} while its requests lie unread ends, and its stream with it`, async () => {
    const began = Promise.withResolvers<void>()
    await using target = await unreadRequests(async signal => {
      began.resolve()
      await new Promise(done => signal.addEventListener('abort', done))
    })
    await began.promise
    target.socket.write(frame(FrameType.RST_STREAM, 0, 1, uint32(code)))
    await target.closed
    assert.equal(target.server.callCount, 0)
  })
}

test('a call that ends with its requests unread leaves no stream behind', async () => {
  await using target = await unreadRequests(async () => undefined)
  await target.closed
  assert.equal(target.server.callCount, 0)
})
