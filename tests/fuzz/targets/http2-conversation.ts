import assert from 'node:assert/strict'
import { type Duplex, duplexPair } from 'node:stream'
import { Http2Connection } from '../../../packages/runtime/src/http2/connection.ts'
import type { ConnectionLimits } from '../../../packages/runtime/src/http2/connection-limits.ts'
import { PREFACE } from '../../../packages/runtime/src/http2/frames.ts'
import { Http2Account } from '../http2-account.ts'
import { cutFrames, joinFrame, type WireFrame } from '../mutate-frames.ts'
import { Http2Handler } from './http2-handler.ts'

const limits: ConnectionLimits = {
  maxHeaderBytes: 1024,
  maxHeaders: 16,
  maxStreams: 4,
  maxKeptBytes: 2000,
  maxUnsentBytes: 30_000,
  streamResetBurst: 8,
  streamResetRate: 1,
  tinyFrameBurst: 20,
  tinyFrameRate: 10,
}
/** More than the server may hand to a socket whose other end does not read: one burst, and answers without content. */
const MAX_QUEUED_BYTES = 400 << 10
const MAX_TURNS = 2000
const MAX_PIECES = 200
const MAX_REPETITIONS = 500
const MAX_REPEATED_BYTES = 100_000

/**
 * Frames of types that HTTP/2 does not have tell the harness what to do; they are not sent. Where the number of the stream is used, it says how many:
 * bytes in a piece from here on (0: all), milliseconds that pass, how often the frames since the last step are said again.
 */
export const Step = {
  CUT: 0xf0,
  TURN: 0xf1,
  DEAF: 0xf2,
  LISTEN: 0xf3,
  TIME: 0xf4,
  RESUME: 0xf5,
  LEAVE: 0xf6,
  END: 0xf7,
  REPEAT: 0xf8,
} as const
const steps = new Set<number>(Object.values(Step))

/** A number of 32 bits. */
export const number = (value: number): Buffer =>
  joinFrame({ type: 0, flags: 0, streamId: value, payload: Buffer.alloc(0) }).subarray(5)

/** A client that says what it is told, and a server in the same process. */
export class Conversation {
  readonly account = new Http2Account()
  readonly handler = new Http2Handler(
    limits,
    () => this.#server.leave('leaving'),
    () => this.#far,
  )
  isOpen = true
  readonly #near: Duplex
  readonly #far: Duplex
  readonly #server: Http2Connection
  readonly #warnings: unknown[] = []
  readonly #warn = (warning: unknown) => this.#warnings.push(warning)
  readonly #timers = timers()
  #nowMs = 0
  #moved = 0
  /** What the client wrote ends with a whole frame. */
  #isWhole = true

  constructor() {
    process.on('warning', this.#warn)
    const [near, far] = duplexPair({ highWaterMark: 8 << 10 })
    this.#near = near
    this.#far = far
    for (const socket of [near, far]) socket.on('error', error => this.#warnings.push(error))
    near.on('data', (bytes: Buffer) => {
      this.#moved += 1
      try {
        this.account.heard(bytes)
      } catch (error) {
        this.#warnings.push(error)
        near.destroy()
      }
    })
    near.on('end', () => {
      this.isOpen = false
    })
    this.#server = new Http2Connection(
      far,
      limits,
      { onStream: stream => this.handler.begin(stream) },
      () => this.#nowMs,
    )
    near.write(PREFACE)
  }

  /** Writes the frames of an input in pieces and follows the steps between them. */
  async play(input: Uint8Array): Promise<void> {
    const { frames, rest } = cutFrames(input)
    let waiting: WireFrame[] = []
    let pieceBytes = 0
    let repeatedBytes = 0
    const flush = () => {
      for (const frame of waiting) this.account.said(frame)
      this.#write(Buffer.concat(waiting.map(frame => joinFrame(frame))), pieceBytes)
    }
    const repeat = (asked: number) => {
      const bytes = waiting.reduce((sum, { payload }) => sum + 9 + payload.length, 0)
      const times = Math.min(asked, MAX_REPETITIONS, Math.floor((MAX_REPEATED_BYTES - repeatedBytes) / bytes))
      if (bytes === 0 || times <= 0) return
      repeatedBytes += times * bytes
      waiting = Array.from({ length: times }, () => waiting).flat()
      flush()
    }
    for (const frame of frames) {
      if (!steps.has(frame.type)) {
        waiting.push(frame)
        continue
      }
      flush()
      const { streamId: count } = frame
      if (frame.type === Step.REPEAT) repeat(count)
      waiting = []
      if (frame.type === Step.CUT) pieceBytes = count
      else if (frame.type === Step.TURN) await this.#turn()
      else if (frame.type === Step.DEAF) this.#near.pause()
      else if (frame.type === Step.LISTEN) this.#near.resume()
      else if (frame.type === Step.TIME) this.#nowMs += count
      else if (frame.type === Step.RESUME) this.handler.resume()
      else if (frame.type === Step.LEAVE) this.#server.leave('told to')
      else if (frame.type === Step.END) {
        this.#near.end()
        break
      }
    }
    this.#isWhole = rest.length === 0
    flush()
    this.#write(rest, pieceBytes)
    await this.#quiet()
  }

  /** Reads all, grants all that is asked for, and sees that nothing is owed then. */
  async settle(): Promise<void> {
    const { account, handler } = this
    this.#near.resume()
    await this.#quiet()
    this.#checkRest()
    for (let round = 0; round < 10 && this.isOpen && this.#isWhole && account.isBetweenBlocks; round += 1) {
      const grants: WireFrame[] = []
      if (account.room() < 100_000) grants.push({ type: 8, flags: 0, streamId: 0, payload: number(200_000) })
      for (const { id } of handler.open) {
        const stream = account.streams.get(id)
        const lacking = 50_000 - account.room(stream)
        if (lacking > 0)
          grants.push({ type: 8, flags: 0, streamId: id, payload: number(Math.min(lacking, 2 ** 31 - 1)) })
      }
      for (const grant of grants) account.said(grant)
      this.#write(Buffer.concat(grants.map(grant => joinFrame(grant))), 0)
      handler.resume()
      await this.#quiet()
      this.#checkRest()
      if (grants.length === 0 && !handler.isPaused) break
    }
    if (!this.isOpen) {
      assert.equal(this.#server.streamCount, 0, 'a stream outlives what the server says')
      return
    }
    if (!this.#isWhole || !account.isBetweenBlocks) return
    handler.checkAnswered()
    if (this.#server.streamCount === 0)
      assert.ok(account.mayBeSent > 32_767, 'the connection keeps more than half of its window')
  }

  /** Ends both sides; afterwards nothing of the connection is left. */
  async destroy(): Promise<void> {
    this.#near.destroy()
    this.#far.destroy()
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    process.off('warning', this.#warn)
    const [warning] = this.#warnings
    if (warning !== undefined) throw warning
    assert.equal(this.#server.streamCount, 0, 'a stream outlives its connection')
    this.handler.checkClosed()
    assert.equal(timers(), this.#timers, 'a timer outlives its connection')
  }

  #write(bytes: Buffer, pieceBytes: number): void {
    const size = pieceBytes === 0 ? 65_536 : Math.max(pieceBytes, Math.ceil(bytes.length / MAX_PIECES))
    for (let at = 0; at < bytes.length && this.#near.writable; at += size)
      this.#near.write(bytes.subarray(at, at + size))
  }

  /** Looks at a connection on which nothing moves although the client reads. */
  #checkRest(): void {
    const { account, handler, isOpen } = this
    account.settle(isOpen)
    handler.checkCalmed(id => account.streams.get(id)?.resetCode)
    if (!isOpen || account.room() <= 0) return
    for (const { id } of handler.owed)
      assert.ok(account.room(account.streams.get(id)) <= 0, 'an answer waits although it has been granted all')
  }

  async #quiet(): Promise<void> {
    let still = 0
    for (let turns = 0; still < 3; turns += 1) {
      assert.ok(turns < MAX_TURNS, 'the connection does not come to rest')
      const before = this.#moved + this.#server.heard
      await this.#turn()
      still = before === this.#moved + this.#server.heard ? still + 1 : 0
    }
  }

  async #turn(): Promise<void> {
    const { heard, stalledSinceMs } = this.#server
    await new Promise(setImmediate)
    this.handler.checkKept()
    assert.ok(this.#server.streamCount <= limits.maxStreams, 'more streams are open than may be')
    assert.ok(this.#far.writableLength <= MAX_QUEUED_BYTES, 'too much is written for a client that does not read')
    // What comes after the end is read away.
    if (this.#near.isPaused() && stalledSinceMs !== undefined && !this.#far.writableEnded)
      assert.equal(this.#server.heard, heard, 'more is read of a client that does not read')
  }
}

function timers(): number {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
}
