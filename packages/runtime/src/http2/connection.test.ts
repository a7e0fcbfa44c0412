import assert from 'node:assert/strict'
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { type Duplex, duplexPair } from 'node:stream'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Http2Connection } from './connection.ts'
import type { ConnectionLimits } from './connection-limits.ts'
import { ACK, END_HEADERS, END_STREAM, FrameParser, FrameType, frame, PADDED, PREFACE, uint32 } from './frames.ts'
import { encodeHeaders } from './header-encoder.ts'
import type { Http2Stream } from './stream.ts'

const limits: ConnectionLimits = {
  maxHeaderBytes: 64 << 10,
  maxHeaders: 128,
  maxStreams: 100,
  maxKeptBytes: 32 << 20,
  maxUnsentBytes: 32 << 20,
  streamResetBurst: 1000,
  streamResetRate: 33,
  tinyFrameBurst: 100_000,
  tinyFrameRate: 256,
}
const headers = encodeHeaders([
  [':status', '200'],
  ['content-type', 'text/plain'],
])
const trailers = encodeHeaders([['x-end', 'yes']])

function serve(socket: Duplex, onStream: (stream: Http2Stream) => void, changed: Partial<ConnectionLimits> = {}) {
  socket.on('error', () => socket.destroy())
  return new Http2Connection(socket, { ...limits, ...changed }, { onStream }, () => performance.now())
}

/** Answers each request with its own bytes. */
function echo(stream: Http2Stream): void {
  const pieces: Buffer[] = []
  let kept = 0
  stream.read({
    data: piece => {
      pieces.push(piece)
      kept += piece.length
      return kept
    },
    end: () => stream.answer(headers, Buffer.concat(pieces), trailers),
  })
}

async function nodeClient(
  onStream: (stream: Http2Stream) => void,
  settings: { initialWindowSize?: number; maxFrameSize?: number },
  use: (session: ClientHttp2Session, server: Http2Connection) => Promise<void>,
): Promise<void> {
  const [near, far] = duplexPair()
  const server = serve(far, onStream)
  const session = connect('http://localhost', { createConnection: () => near, settings })
  session.on('error', () => undefined)
  try {
    await use(session, server)
  } finally {
    session.destroy()
    far.destroy()
  }
}

async function answerOf(stream: ClientHttp2Stream): Promise<{ body: Buffer; end: unknown }> {
  const pieces: Buffer[] = []
  let end: unknown
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  stream.on('trailers', got => {
    end = got['x-end']
  })
  await new Promise((done, fail) => {
    stream.on('close', done)
    stream.on('error', fail)
  })
  return { body: Buffer.concat(pieces), end }
}

describe('with the client of Node', () => {
  for (const settings of [{}, { initialWindowSize: 1000 }, { initialWindowSize: 0x7fff_ffff, maxFrameSize: 1 << 20 }]) {
    test(`large requests and answers, and a hundred at once, with ${JSON.stringify(settings)}`, async () => {
      await nodeClient(echo, settings, async (session, server) => {
        const bodies = [
          Buffer.alloc(3 << 20, 'large'),
          ...Array.from({ length: 99 }, (_, i) => Buffer.alloc(i * 700, `${i}`)),
        ]
        const answers = await Promise.all(
          bodies.map(body => {
            const stream = session.request({ ':method': 'POST', ':path': '/echo' })
            stream.end(body)
            return answerOf(stream)
          }),
        )
        for (const [index, { body, end }] of answers.entries()) {
          assert.ok(body.equals(bodies[index] ?? assert.fail()), `answer ${index}`)
          assert.equal(end, 'yes')
        }
        assert.equal(server.streamCount, 0)
      })
    })
  }

  test('one that leaves serves what has begun, and nothing that begins after', async () => {
    const begun: Http2Stream[] = []
    await nodeClient(
      stream => begun.push(stream),
      {},
      async (session, server) => {
        const goodbye = new Promise(done => session.once('goaway', done))
        const first = answerOf(session.request({ ':method': 'POST', ':path': '/' }, { endStream: true }))
        while (begun.length === 0) await new Promise(setImmediate)
        const closed = new Promise(done => session.once('close', done))
        server.leave('time to go')
        await goodbye
        assert.equal(server.isLeaving, true)
        begun[0]?.answer(headers, Buffer.from('bye'), trailers)
        assert.equal((await first).body.toString(), 'bye')
        await closed
        assert.equal(begun.length, 1)
      },
    )
  })
})

/** A client that speaks frames and keeps account of every window. */
class ModelClient {
  readonly bodies = new Map<number, Buffer[]>()
  readonly ended = new Set<number>()
  /** Streams on which this side has said all. */
  readonly said = new Set<number>()
  /** Streams that the server does not read any more. */
  readonly cut = new Set<number>()
  /** What this side may send and what the server may. */
  sendWindow = 65_535
  serverWindow = 65_535
  readonly streamSend = new Map<number, number>()
  readonly streamServer = new Map<number, number>()
  initialWindow: number
  goneAway: number | undefined
  readonly #socket: Duplex
  readonly #parser = new FrameParser()

  constructor(socket: Duplex, initialWindow: number) {
    this.#socket = socket
    this.initialWindow = initialWindow
    const settings = Buffer.alloc(6)
    settings.writeUInt16BE(4, 0)
    settings.writeUInt32BE(initialWindow, 2)
    socket.write(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0, settings)]))
    socket.on('data', (chunk: Buffer) => {
      for (const { type, flags, streamId, payload } of this.#parser.push(chunk))
        this.#take(type, flags, streamId, payload)
    })
  }

  request(streamId: number): void {
    this.streamSend.set(streamId, 65_535)
    this.streamServer.set(streamId, this.initialWindow)
    this.bodies.set(streamId, [])
    const block = encodeHeaders([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/'],
    ])
    this.#socket.write(frame(FrameType.HEADERS, END_HEADERS, streamId, block))
  }

  /** Sends as much of `bytes` as the windows allow, with padding; returns what is left. */
  data(streamId: number, bytes: Buffer, padding: number, last: boolean): Buffer {
    const overhead = padding > 0 ? 1 + padding : 0
    const room = Math.min(this.sendWindow, this.streamSend.get(streamId) ?? 0, 16_384) - overhead
    const now = bytes.subarray(0, Math.max(0, room))
    if (room <= 0 && bytes.length > 0) return bytes
    if (room < 0) return bytes
    const rest = bytes.subarray(now.length)
    const payload = padding > 0 ? Buffer.concat([Buffer.of(padding), now, Buffer.alloc(padding)]) : now
    this.sendWindow -= payload.length
    this.streamSend.set(streamId, (this.streamSend.get(streamId) ?? 0) - payload.length)
    const isLast = last && rest.length === 0
    if (isLast) this.said.add(streamId)
    const flags = (padding > 0 ? PADDED : 0) | (isLast ? END_STREAM : 0)
    this.#socket.write(frame(FrameType.DATA, flags, streamId, payload))
    return rest
  }

  widen(streamId: number, bytes: number): void {
    if (streamId === 0) this.serverWindow += bytes
    else this.streamServer.set(streamId, (this.streamServer.get(streamId) ?? 0) + bytes)
    this.#socket.write(frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(bytes)))
  }

  setInitialWindow(bytes: number): void {
    for (const [id, window] of this.streamServer) this.streamServer.set(id, window + bytes - this.initialWindow)
    this.initialWindow = bytes
    const settings = Buffer.alloc(6)
    settings.writeUInt16BE(4, 0)
    settings.writeUInt32BE(bytes, 2)
    this.#socket.write(frame(FrameType.SETTINGS, 0, 0, settings))
  }

  reset(streamId: number): void {
    this.streamServer.delete(streamId)
    this.#socket.write(frame(FrameType.RST_STREAM, 0, streamId, uint32(8)))
  }

  #take(type: number, flags: number, streamId: number, payload: Buffer): void {
    if (type === FrameType.DATA) {
      this.serverWindow -= payload.length
      assert.ok(this.serverWindow >= 0, 'more than the connection takes')
      const window = this.streamServer.get(streamId)
      if (window === undefined) return
      this.streamServer.set(streamId, window - payload.length)
      this.bodies.get(streamId)?.push(Buffer.from(payload))
    }
    if (type === FrameType.HEADERS && (flags & END_STREAM) !== 0) this.ended.add(streamId)
    if (type === FrameType.RST_STREAM) this.cut.add(streamId)
    if (type === FrameType.WINDOW_UPDATE) {
      const bytes = payload.readUInt32BE(0)
      if (streamId === 0) this.sendWindow += bytes
      else this.streamSend.set(streamId, (this.streamSend.get(streamId) ?? 0) + bytes)
      assert.ok(this.sendWindow <= 65_535, 'the connection gives back more than it took')
    }
    if (type === FrameType.SETTINGS && (flags & ACK) === 0) this.#socket.write(frame(FrameType.SETTINGS, ACK, 0))
    if (type === FrameType.GOAWAY) this.goneAway = payload.readUInt32BE(4)
  }
}

const turn = () => new Promise(setImmediate)

describe('windows', () => {
  const plan = fc.record({
    initialWindow: fc.integer({ min: 0, max: 70_000 }),
    streams: fc.array(
      fc.record({
        requestBytes: fc.integer({ min: 0, max: 150_000 }),
        padding: fc.integer({ min: 0, max: 255 }),
        fate: fc.constantFrom('answer', 'answer', 'answer', 'early', 'reset by server', 'reset by client'),
        pauses: fc.boolean(),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    changes: fc.array(fc.integer({ min: 0, max: 70_000 }), { maxLength: 4 }),
    widths: fc.array(fc.integer({ min: 300, max: 40_000 }), { minLength: 1, maxLength: 5 }),
  })

  test('are kept on both sides whatever happens, and what the connection took it gives back', async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ initialWindow, streams, changes, widths }) => {
        const [near, far] = duplexPair()
        const served: Http2Stream[] = []
        const server = serve(far, stream => {
          const { fate, pauses } = streams[(stream.id - 1) / 2] ?? assert.fail()
          served.push(stream)
          if (pauses) stream.pause()
          const pieces: Buffer[] = []
          let isAnswered = false
          const answer = (body: Buffer) => {
            if (!isAnswered) stream.answer(headers, body, trailers)
            isAnswered = true
          }
          stream.read({
            data: piece => {
              pieces.push(piece)
              if (pauses) stream.pause()
              if (fate === 'early') answer(Buffer.from('early'))
              if (fate === 'reset by server') stream.reset(2)
              return 0
            },
            end: () => answer(Buffer.concat(pieces)),
          })
        })
        const client = new ModelClient(near, initialWindow)
        const rests: Buffer[] = streams.map(({ requestBytes }, i) => Buffer.alloc(requestBytes, `${i}-`))
        const finished = new Set<number>()
        for (const [i] of streams.entries()) client.request(2 * i + 1)
        for (let round = 0; ; round += 1) {
          assert.equal(client.goneAway, undefined)
          for (const [i, { padding, fate }] of streams.entries()) {
            const id = 2 * i + 1
            if (client.cut.has(id)) finished.add(i)
            if (finished.has(i)) continue
            if (fate === 'reset by client' && round === 3) {
              client.reset(id)
              finished.add(i)
              continue
            }
            rests[i] = client.data(id, rests[i] ?? assert.fail(), padding, true)
            if (client.said.has(id)) finished.add(i)
          }
          const change = changes[round]
          if (change !== undefined) client.setInitialWindow(change)
          const width = widths[round % widths.length] ?? 1
          if (client.serverWindow < 1 << 20) client.widen(0, width)
          for (const [id, window] of client.streamServer)
            if (window < 1 << 20 && !client.ended.has(id)) client.widen(id, width)
          for (const stream of served) if (!stream.closed) stream.resume()
          await turn()
          if (server.streamCount === 0 && finished.size === streams.length && round > 3) break
          assert.ok(round < 5000, 'it does not come to an end')
        }
        for (const [i, { fate, requestBytes }] of streams.entries()) {
          const body = Buffer.concat(client.bodies.get(2 * i + 1) ?? [])
          if (fate === 'answer') assert.ok(body.equals(Buffer.alloc(requestBytes, `${i}-`)), `answer ${i}`)
          if (fate === 'early' && requestBytes > 0) assert.equal(body.toString(), 'early')
        }
        await turn()
        assert.equal(server.streamCount, 0)
        // Less than half a window is ever withheld.
        assert.ok(client.sendWindow > 65_535 / 2 - 1, `only ${client.sendWindow} are left of the window`)
        near.destroy()
        far.destroy()
      }),
      { numRuns: 150 },
    )
  })

  test('requests that are kept have a bound for all streams together', async () => {
    const [near, far] = duplexPair()
    const server = serve(far, echo, { maxKeptBytes: 100_000 })
    const client = new ModelClient(near, 65_535)
    let opened = 0
    let sent = 0
    let rest: Buffer = Buffer.alloc(0)
    for (let round = 0; round < 200; round += 1) {
      if (rest.length === 0) {
        client.request(2 * opened++ + 1)
        rest = Buffer.alloc(30_000)
        sent += 30_000
      }
      rest = Buffer.from(client.data(2 * opened - 1, rest, 0, false))
      await turn()
      assert.ok(server.streamCount <= 4)
    }
    assert.ok(sent > 300_000)
    assert.equal(client.goneAway, undefined)
    near.destroy()
    far.destroy()
  })
})

test('streams that the peer makes the server reset are charged to the peer', async () => {
  const [near, far] = duplexPair()
  let begun = 0
  serve(
    far,
    stream => {
      begun += 1
      stream.read({ data: () => 0, end: () => undefined })
    },
    { streamResetBurst: 50, streamResetRate: 0 },
  )
  const client = new ModelClient(near, 65_535)
  near.on('error', () => undefined)
  for (let i = 0; i < 200 && client.goneAway === undefined; i += 1) {
    client.request(2 * i + 1)
    // A window that grows by nothing is a fault of the stream.
    near.write(frame(FrameType.WINDOW_UPDATE, 0, 2 * i + 1, uint32(0)))
    await turn()
  }
  assert.equal(client.goneAway, 11)
  assert.ok(begun <= 52, `${begun} streams began`)
  near.destroy()
  far.destroy()
})

test('one byte at a time is read as all at once', async () => {
  const [near, far] = duplexPair()
  serve(far, echo)
  const said = new Promise<Buffer>(done => {
    const pieces: Buffer[] = []
    near.on('data', (piece: Buffer) => {
      pieces.push(piece)
      if (Buffer.concat(pieces).includes(trailers)) done(Buffer.concat(pieces))
    })
  })
  const block = encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/'],
  ])
  const all = Buffer.concat([
    PREFACE,
    frame(FrameType.SETTINGS, 0, 0),
    frame(FrameType.HEADERS, 0, 1, block.subarray(0, 5)),
    frame(FrameType.CONTINUATION, END_HEADERS, 1, block.subarray(5)),
    frame(FrameType.DATA, END_STREAM, 1, Buffer.from('hello')),
  ])
  for (const byte of all) near.write(Buffer.of(byte))
  assert.ok((await said).includes('hello'))
  near.destroy()
  far.destroy()
})
