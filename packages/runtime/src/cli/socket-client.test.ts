import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerHttp2Stream, type Settings } from 'node:http2'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type StringValue, StringValueSchema } from '@bufbuild/protobuf/wkt'
import { FakeSpiffeClock } from '@plastron/spiffe/testing'
import fc from 'fast-check'
import { ACK, END_HEADERS, END_STREAM, FrameType, frame, uint32 } from '../http2/frames.ts'
import { encodeHeaders } from '../http2/header-encoder.ts'
import { type FrameConnection, FrameServer } from '../testing/frame-server.ts'
import { grpcMessage, pour } from '../testing/http2-frames.ts'
import { tempFolder } from '../testing/temp-folder.ts'
import { RpcError } from './rpc-error.ts'
import { connectSocketClient, type SocketClientOptions } from './socket-client.ts'

const echo = {
  name: 'Echo',
  parent: { typeName: 'plastron.test.Echo' },
  input: StringValueSchema,
  output: StringValueSchema,
}
const bytesOf = (value: string) => toBinary(StringValueSchema, create(StringValueSchema, { value }))
const okHead = { ':status': 200, 'content-type': 'application/grpc' }

const client = (path: string, options: Partial<SocketClientOptions> = {}) =>
  connectSocketClient(path, { signal: new AbortController().signal, ...options })

/** A server made of node:http2; `answer` is called when the request is complete. */
async function http2Server(
  t: TestContext,
  answer: (stream: ServerHttp2Stream, request: StringValue, headers: Record<string, unknown>) => void,
  settings: Settings = {},
): Promise<string> {
  const folder = await tempFolder()
  const path = join(folder.path, 'http2.sock')
  const server = createServer({ settings })
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', session => {
    sessions.add(session)
    session.setLocalWindowSize(Math.max(65_535, settings.initialWindowSize ?? 0))
    session.once('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      answer(stream, fromBinary(StringValueSchema, Buffer.concat(chunks).subarray(5)), headers)
    })
  })
  server.listen(path)
  await once(server, 'listening')
  t.after(async () => {
    for (const session of sessions) session.destroy()
    server.close()
    await once(server, 'close')
    await folder[Symbol.asyncDispose]()
  })
  return path
}

function respond(stream: ServerHttp2Stream, values: readonly string[], trailers: Record<string, string>): void {
  stream.respond(okHead, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  stream.end(Buffer.concat(values.map(value => grpcMessage(bytesOf(value)))))
}

async function failsWith(promise: Promise<unknown>, status: number, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof RpcError, String(error))
    assert.equal(error.status, status, error.message)
    assert.match(error.statusMessage, message)
    return true
  })
}

describe('calls of a server made of node:http2', () => {
  test('a request of megabytes goes and comes back through small windows, and again on the same connection', async t => {
    const path = await http2Server(t, (stream, { value }) => respond(stream, [value], { 'grpc-status': '0' }), {
      initialWindowSize: 1000,
      maxFrameSize: 20_000,
    })
    await using channel = client(path)
    for (const length of [0, 1, 3_000_000]) {
      const value = 'x'.repeat(length)
      assert.equal((await channel.call(echo, { value })).value, value)
    }
  })

  test('a request of megabytes goes out at once where the server lets it, while it asks whether anybody is there', async t => {
    const path = await http2Server(t, (stream, { value }) => respond(stream, [value], { 'grpc-status': '0' }), {
      initialWindowSize: 2 ** 25,
      maxFrameSize: 2 ** 20,
    })
    await using channel = client(path)
    const value = 'x'.repeat(20_000_000)
    assert.equal((await channel.call(echo, {})).value, '')
    assert.equal((await channel.call(echo, { value })).value, value)
  })

  test('a stream of answers comes in order and ends', async t => {
    const values = Array.from({ length: 500 }, (_, index) => String(index).repeat(1000))
    const path = await http2Server(t, stream => respond(stream, values, { 'grpc-status': '0' }))
    await using channel = client(path)
    const read: string[] = []
    for await (const { value } of channel.stream(echo, {})) read.push(value)
    assert.deepEqual(read, values)
  })

  test('headers are those of gRPC, the caller’s among them, and the time it has', async t => {
    let seen: Record<string, unknown> = {}
    const path = await http2Server(t, (stream, _request, headers) => {
      seen = headers
      respond(stream, [''], { 'grpc-status': '0' })
    })
    await using channel = client(path, { headers: { 'workload.spiffe.io': 'true' }, timeoutMs: 60_000 })
    await channel.call(echo, {})
    assert.equal(seen[':path'], '/plastron.test.Echo/Echo')
    assert.equal(seen[':method'], 'POST')
    assert.equal(seen[':authority'], 'localhost')
    assert.equal(seen.te, 'trailers')
    assert.equal(seen['content-type'], 'application/grpc+proto')
    assert.equal(seen['workload.spiffe.io'], 'true')
    assert.equal(seen['grpc-timeout'], '60000m')
  })

  test('a status comes in trailers, or in headers alone, with its message as it was', async t => {
    const message = 'größer als 5 %, naïve — \u{1f600}'
    const trailers = { 'grpc-status': '5', 'grpc-message': encodeURIComponent(message) }
    const inTrailers = await http2Server(t, stream => respond(stream, ['half'], trailers))
    await using first = client(inTrailers)
    await failsWith(first.call(echo, {}), 5, /^größer als 5 %, naïve — \u{1f600}$/u)
    const alone = await http2Server(t, stream => stream.respond({ ...okHead, ...trailers }, { endStream: true }))
    await using second = client(alone)
    await failsWith(second.call(echo, {}), 5, /^größer als 5 %/)
    await assert.rejects(second.call(echo, {}), { message: `rpc error: code = NotFound desc = ${message}` })
  })

  test('every character that a header may have is read from the Huffman code of nghttp2', async t => {
    // Letters between make the code shorter than the text, so that it is used.
    const all = Array.from({ length: 94 }, (_, index) => `aaaaaaaa${String.fromCharCode(33 + index)}`).join('')
    const path = await http2Server(t, stream => respond(stream, [], { 'grpc-status': '3', 'grpc-message': all }))
    await using channel = client(path)
    await assert.rejects(channel.call(echo, {}), (error: unknown) => {
      assert.equal((error as RpcError).statusMessage, all)
      return true
    })
  })

  test('leaving a stream early, and the caller’s signal, cancel it; the time that a call has ends it', async t => {
    const codes: number[] = []
    const opened: (() => void)[] = []
    const closed: (() => void)[] = []
    const path = await http2Server(t, stream => {
      stream.on('close', () => {
        codes.push(stream.rstCode)
        closed.shift()?.()
      })
      stream.respond(okHead)
      stream.write(grpcMessage(bytesOf('one')))
      opened.shift()?.()
    })
    const next = (list: (() => void)[]) => new Promise<void>(resolve => list.push(resolve))
    const controller = new AbortController()
    const clock = new FakeSpiffeClock()
    await using channel = client(path, { signal: controller.signal, timeoutMs: 5000, clock })
    let end = next(closed)
    for await (const { value } of channel.stream(echo, {})) {
      assert.equal(value, 'one')
      break
    }
    await end
    end = next(closed)
    let begun = next(opened)
    const late = failsWith(channel.call(echo, {}), 4, /no answer within 5000 ms/)
    await begun
    clock.advance(5000)
    await late
    await end
    end = next(closed)
    begun = next(opened)
    const aborted = failsWith(channel.call(echo, {}), 1, /context canceled/)
    await begun
    controller.abort()
    await aborted
    await end
    assert.deepEqual(codes, [8, 8, 8])
    assert.equal(clock.waiting, 0)
    await failsWith(channel.call(echo, {}), 1, /context canceled/)
  })
})

const settings = frame(FrameType.SETTINGS, 0, 0)
const setting = (id: number, value: number) => Buffer.concat([Buffer.of(0, id), uint32(value)])
const head = (id = 1, flags = END_HEADERS) =>
  frame(
    FrameType.HEADERS,
    flags,
    id,
    encodeHeaders([
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ]),
  )
const fields = (list: readonly (readonly [string, string])[], flags = END_HEADERS | END_STREAM) =>
  frame(FrameType.HEADERS, flags, 1, encodeHeaders(list))
const trailers = (status = '0') => fields([['grpc-status', status]])
const data = (payload: Uint8Array, flags = 0, id = 1) => frame(FrameType.DATA, flags, id, payload)
const hello = grpcMessage(bytesOf('hello'))
/** A message that fills a frame: five bytes say its length, three the text's. */
const sixteenKibibytes = grpcMessage(bytesOf('x'.repeat(16_384 - 5 - 3)))

/** A server that says `bytes` once it has a request, and then, if it is to, nothing more. */
async function saying(bytes: Uint8Array, thenEnds = false): Promise<FrameServer> {
  return FrameServer.start(async ({ socket, until }) => {
    try {
      await until(({ type }) => type === FrameType.DATA)
      socket.write(bytes)
      if (thenEnds) socket.end()
    } catch {
      // The client has gone.
    }
  })
}

describe('frames from a server', () => {
  test('padding, priorities, informational answers, continued headers and unknown frames are passed over', async () => {
    const block = encodeHeaders([['grpc-status', '0']])
    await using server = await saying(
      Buffer.concat([
        settings,
        frame(FrameType.PRIORITY, 0, 1, Buffer.alloc(5)),
        frame(0xee, 0xff, 7, Buffer.alloc(100)),
        fields([[':status', '103']], END_HEADERS),
        frame(
          FrameType.HEADERS,
          END_HEADERS | 8 | 0x20,
          1,
          Buffer.concat([Buffer.of(3), Buffer.alloc(5), head().subarray(9), Buffer.alloc(3)]),
        ),
        data(Buffer.concat([Buffer.of(2), hello.subarray(0, 4), Buffer.alloc(2)]), 8),
        data(new Uint8Array()),
        data(hello.subarray(4)),
        frame(FrameType.HEADERS, END_STREAM, 1, block.subarray(0, 3)),
        frame(FrameType.CONTINUATION, 0, 1),
        frame(FrameType.CONTINUATION, END_HEADERS, 1, block.subarray(3)),
      ]),
    )
    await using channel = client(server.path)
    assert.equal((await channel.call(echo, {})).value, 'hello')
  })

  test('settings and pings are acknowledged; frames of a stream that was cancelled are passed over', async () => {
    const seen = Promise.withResolvers<FrameConnection>()
    await using server = await FrameServer.start(connection => seen.resolve(connection))
    await using channel = client(server.path)
    const stream = channel.stream(echo, {})
    const first = stream.next()
    const { socket, until } = await seen.promise
    socket.write(Buffer.concat([settings, head(), data(hello), frame(FrameType.PING, 0, 0, Buffer.from('12345678'))]))
    await until(({ type, flags }) => type === FrameType.SETTINGS && flags === ACK)
    assert.equal((await until(({ type }) => type === FrameType.PING)).payload.toString(), '12345678')
    assert.equal((await first).value?.value, 'hello')
    await stream.return()
    assert.deepEqual((await until(({ type }) => type === FrameType.RST_STREAM)).payload, uint32(8))
    const second = channel.call(echo, {})
    await until(({ type, streamId }) => type === FrameType.DATA && streamId === 3)
    socket.write(
      Buffer.concat([
        data(hello),
        trailers(),
        frame(FrameType.RST_STREAM, 0, 1, uint32(0)),
        head(3),
        data(hello, 0, 3),
      ]),
    )
    socket.write(frame(FrameType.HEADERS, END_HEADERS | END_STREAM, 3, encodeHeaders([['grpc-status', '0']])))
    assert.equal((await second).value, 'hello')
  })

  test('a server is held back until the answers that wait are taken', async () => {
    const seen = Promise.withResolvers<FrameConnection>()
    await using server = await FrameServer.start(connection => seen.resolve(connection))
    await using channel = client(server.path)
    const stream = channel.stream(echo, {})
    const first = stream.next()
    const { socket, frames, until } = await seen.promise
    const ping = frame(FrameType.PING, 0, 0, Buffer.alloc(8))
    const whole = Array.from({ length: 64 }, () => data(sixteenKibibytes))
    socket.write(Buffer.concat([settings, head(), ...whole, ping]))
    await until(({ type, flags }) => type === FrameType.PING && flags === ACK)
    const widened = () => frames.filter(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 1)
    await first
    assert.deepEqual(widened(), [])
    for (let taken = 1; taken < 64; taken += 1) await stream.next()
    const last = stream.next()
    await until(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 1)
    assert.equal(widened()[0]?.payload.readUInt32BE(), 1_048_576)
    socket.write(trailers())
    assert.equal((await last).done, true)
  })

  for (const [what, refusal, message] of [
    ['resets', frame(FrameType.RST_STREAM, 0, 1, uint32(7)), /reset with code 7/],
    ['says goodbye to', frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(8)), /goodbye with code 0/],
  ] as const) {
    test(`a request that the server ${what} before it takes it goes to another connection, once`, async () => {
      for (const willing of [1, 2]) {
        let connections = 0
        await using server = await FrameServer.start(async ({ socket, until }, number) => {
          connections = number + 1
          await until(({ type }) => type === FrameType.DATA)
          socket.write(settings)
          socket.write(number < willing ? refusal : Buffer.concat([head(), data(hello), trailers()]))
        })
        await using channel = client(server.path)
        if (willing === 1) assert.equal((await channel.call(echo, {})).value, 'hello')
        else await failsWith(channel.call(echo, {}), 14, message)
        assert.equal(connections, 2)
      }
    })
  }

  test('a request that the server answers before it has read it is not sent to its end', async () => {
    const seen = Promise.withResolvers<FrameConnection>()
    await using server = await FrameServer.start(connection => seen.resolve(connection))
    await using channel = client(server.path)
    const call = failsWith(channel.call(echo, { value: 'x'.repeat(200_000) }), 8, /too much/)
    const { socket, frames, until } = await seen.promise
    await until(({ type }) => type === FrameType.DATA)
    socket.write(settings)
    socket.write(
      fields([
        [':status', '200'],
        ['content-type', 'application/grpc'],
        ['grpc-status', '8'],
        ['grpc-message', 'too much'],
      ]),
    )
    await call
    await until(({ type }) => type === FrameType.RST_STREAM)
    const sent = frames
      .filter(({ type }) => type === FrameType.DATA)
      .reduce((sum, { payload }) => sum + payload.length, 0)
    assert.equal(sent, 65_535)
  })

  test('a server that asks for acknowledgements without reading them is cut off', async () => {
    const pings = Buffer.concat(Array.from({ length: 4000 }, () => frame(FrameType.PING, 0, 0, Buffer.alloc(8))))
    await using server = await FrameServer.start(async ({ socket, until }) => {
      await until(({ type }) => type === FrameType.DATA)
      socket.pause()
      socket.write(settings)
      await pour(
        socket,
        Array.from({ length: 100 }, () => pings),
      )
    })
    await using channel = client(server.path)
    await failsWith(channel.call(echo, {}), 14, /does not read/)
  })

  test('a server that sends more than its window is cut off; what came before is handed out', async () => {
    const seen = Promise.withResolvers<FrameConnection>()
    await using server = await FrameServer.start(connection => seen.resolve(connection))
    await using channel = client(server.path)
    const stream = channel.stream(echo, {})
    const first = stream.next()
    const { socket, until } = await seen.promise
    const many = Array.from({ length: 65 }, () => data(sixteenKibibytes))
    socket.write(Buffer.concat([settings, head(), ...many]))
    await first
    assert.equal((await until(({ type }) => type === FrameType.GOAWAY)).payload.readUInt32BE(4), 3)
    let count = 1
    await failsWith(
      (async () => {
        for await (const _ of stream) count += 1
      })(),
      14,
      /more than its window/,
    )
    assert.equal(count, 64)
  })

  const huge = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff])
  const refused: readonly (readonly [what: string, bytes: Uint8Array, status: number, message: RegExp])[] = [
    ['HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 14, /frame of \d+ bytes/],
    ['no settings first', head(), 14, /does not speak HTTP\/2/],
    ['settings that acknowledge first', frame(FrameType.SETTINGS, ACK, 0), 14, /does not speak HTTP\/2/],
    [
      'a frame that is too large',
      Buffer.concat([settings, Buffer.of(0, 0x40, 1, 0, 0, 0, 0, 0, 1)]),
      14,
      /16385 bytes/,
    ],
    ['settings of a stream', frame(FrameType.SETTINGS, 0, 1), 14, /settings of a stream/],
    ['settings cut off', frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(5)), 14, /cut off/],
    ['a window that is too wide', frame(FrameType.SETTINGS, 0, 0, setting(4, 2 ** 31)), 14, /window of 2147483648/],
    ['frames that are too small', frame(FrameType.SETTINGS, 0, 0, setting(5, 16_383)), 14, /frames of 16383/],
    ['frames that are too large', frame(FrameType.SETTINGS, 0, 0, setting(5, 2 ** 24)), 14, /frames of 16777216/],
    ['an acknowledgement with content', frame(FrameType.SETTINGS, ACK, 0, setting(3, 1)), 14, /speak|where 0 belong/],
    ['a ping of seven bytes', frame(FrameType.PING, 0, 0, Buffer.alloc(7)), 14, /7 bytes where 8/],
    ['a ping of a stream', frame(FrameType.PING, 0, 1, Buffer.alloc(8)), 14, /ping of a stream/],
    ['a goodbye of seven bytes', frame(FrameType.GOAWAY, 0, 0, Buffer.alloc(7)), 14, /too short/],
    ['a goodbye of a stream', frame(FrameType.GOAWAY, 0, 1, Buffer.alloc(8)), 14, /goodbye of a stream/],
    ['a window widened by nothing', frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0)), 14, /by nothing/],
    ['a window widened too far', frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7fff_ffff)), 14, /wider/],
    ['a window of an idle stream', frame(FrameType.WINDOW_UPDATE, 0, 3, uint32(1)), 14, /not opened/],
    ['a window of three bytes', frame(FrameType.WINDOW_UPDATE, 0, 1, Buffer.alloc(3)), 14, /3 bytes where 4/],
    ['a push', frame(FrameType.PUSH_PROMISE, END_HEADERS, 1, uint32(2)), 14, /pushed/],
    ['headers of an idle stream', head(3), 14, /headers on a stream that was not opened/],
    ['headers of a stream of its own', head(2), 14, /not opened/],
    ['headers of no stream', head(0), 14, /not opened/],
    ['data of an idle stream', data(hello, 0, 5), 14, /data on a stream that was not opened/],
    ['a reset of an idle stream', frame(FrameType.RST_STREAM, 0, 3, uint32(0)), 14, /not opened/],
    ['a reset of three bytes', frame(FrameType.RST_STREAM, 0, 1, Buffer.alloc(3)), 14, /3 bytes/],
    ['a continuation of nothing', frame(FrameType.CONTINUATION, END_HEADERS, 1), 14, /did not begin/],
    ['headers that are interrupted', Buffer.concat([head(1, 0), settings]), 14, /interrupted/],
    [
      'a continuation of another stream',
      Buffer.concat([head(1, 0), frame(FrameType.CONTINUATION, 4, 3)]),
      14,
      /interrupted/,
    ],
    [
      'headers that never end',
      Buffer.concat([head(1, 0), ...Array.from({ length: 8000 }, () => frame(FrameType.CONTINUATION, 0, 1))]),
      14,
      /headers have more than 65536/,
    ],
    ['padding longer than its frame', Buffer.concat([head(), data(Buffer.of(9, 1, 2), 8)]), 14, /padding/],
    ['padding without its length', Buffer.concat([head(), data(new Uint8Array(), 8)]), 14, /padding/],
    ['headers without their priority', frame(FrameType.HEADERS, 0x20 | END_HEADERS, 1, Buffer.alloc(4)), 14, /padding/],
    ['headers that cannot be read', frame(FrameType.HEADERS, END_HEADERS, 1, Buffer.of(0xff)), 14, /cannot be read/],
    ['headers that are too long', frame(FrameType.HEADERS, 4, 1, Buffer.alloc(2000, 0x88)), 14, /more than 32768/],
    ['no HTTP status', fields([['grpc-status', '0']]), 13, /no HTTP status/],
    ['a strange HTTP status', fields([[':status', '20']]), 13, /no HTTP status/],
    ['a last informational answer', fields([[':status', '100']]), 2, /HTTP status 100/],
    ['headers twice', Buffer.concat([head(), head()]), 13, /middle of the answer/],
    ['data before headers', data(hello), 13, /before the headers/],
    ['HTTP status 503', fields([[':status', '503']]), 14, /HTTP status 503/],
    [
      'a page',
      fields([
        [':status', '200'],
        ['content-type', 'text/html'],
      ]),
      2,
      /not gRPC/,
    ],
    ['a stream without a status', Buffer.concat([head(), data(hello, END_STREAM)]), 2, /without a status/],
    [
      'a compressed message',
      Buffer.concat([head(), data(grpcMessage(Buffer.alloc(1), true))]),
      13,
      /compression flag 1/,
    ],
    ['a message that is too large', Buffer.concat([head(), data(huge)]), 8, /larger than the limit/],
    ['half a message', Buffer.concat([head(), data(hello.subarray(0, 7)), trailers()]), 13, /middle of a message/],
    ['no message', Buffer.concat([head(), trailers()]), 13, /without an answer/],
    ['two messages', Buffer.concat([head(), data(hello), data(hello), trailers()]), 13, /more than one/],
    ['no protobuf', Buffer.concat([head(), data(grpcMessage(Buffer.of(0xff))), trailers()]), 13, /not a readable/],
    ['a status after half a message', Buffer.concat([head(), data(Buffer.of(0)), trailers('16')]), 16, /^$/],
    ['a status that is none', Buffer.concat([head(), data(hello), trailers('x')]), 2, /^$/],
    ['a reset', Buffer.concat([head(), frame(FrameType.RST_STREAM, 0, 1, uint32(11))]), 8, /reset with code 11/],
  ]
  for (const [what, bytes, status, message] of refused) {
    test(`is refused: ${what}`, async () => {
      const mayBegin = /^no settings|^settings that ack|^HTTP\//.test(what)
      await using server = await saying(mayBegin ? bytes : Buffer.concat([settings, bytes]))
      await using channel = client(server.path)
      await failsWith(channel.call(echo, {}), status, message)
    })
  }

  test('a connection that ends in the middle, or is never made, is a fault with its reason', async () => {
    await using server = await saying(Buffer.concat([settings, head(), data(hello)]), true)
    await using channel = client(server.path)
    await failsWith(channel.call(echo, {}), 14, /the connection broke: it was closed/)
    await using folder = await tempFolder()
    await using nowhere = client(join(folder.path, 'nothing.sock'))
    await failsWith(nowhere.call(echo, {}), 14, /cannot connect: connect ENOENT .*nothing\.sock/)
  })

  test('whatever a server says and however it is cut, each call ends by an answer or an RpcError', async () => {
    let script: Uint8Array = Buffer.alloc(0)
    let cut = 1
    await using server = await FrameServer.start(async ({ socket, until }) => {
      try {
        await until(({ type }) => type === FrameType.DATA)
        for (let at = 0; at < script.length; at += cut) socket.write(script.subarray(at, at + cut))
        socket.end()
      } catch {
        // The client has gone.
      }
    })
    const right = Buffer.concat([settings, head(), data(hello), trailers()])
    const anyFrame = fc
      .tuple(fc.nat({ max: 10 }), fc.nat({ max: 255 }), fc.nat({ max: 4 }), fc.uint8Array({ maxLength: 60 }))
      .map(([type, flags, id, payload]) => frame(type, flags, id, payload))
    const goodFrame = fc.constantFrom(
      settings,
      head(),
      data(hello),
      trailers(),
      frame(FrameType.PING, 0, 0, Buffer.alloc(8)),
    )
    const changed = fc
      .array(fc.tuple(fc.nat({ max: right.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 })
      .map(changes => {
        const bytes = Buffer.from(right)
        for (const [at, value] of changes) bytes[at] = value
        return bytes
      })
    const frames = fc
      .array(fc.oneof({ weight: 1, arbitrary: anyFrame }, { weight: 2, arbitrary: goodFrame }), { maxLength: 12 })
      .map(list => Buffer.concat([settings, ...list]))
    await fc.assert(
      fc.asyncProperty(fc.oneof(changed, frames), fc.integer({ min: 1, max: 100 }), async (bytes, size) => {
        script = bytes
        cut = size
        await using channel = client(server.path)
        try {
          await channel.call(echo, {})
        } catch (error) {
          assert.ok(error instanceof RpcError, String(error))
        }
      }),
      { numRuns: 300 },
    )
  })
})
