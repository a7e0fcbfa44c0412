import type { Duplex } from 'node:stream'
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import { Http2Connection } from '../http2/connection.ts'
import type { ConnectionLimits } from '../http2/connection-limits.ts'
import { ErrorCode } from '../http2/frames.ts'
import type { Http2Stream } from '../http2/stream.ts'
import type { Peer } from '../listeners/peer.ts'
import { Call } from './call.ts'
import { callerKey } from './caller-key.ts'
import { ConnectionKeeper, type KeptConnection } from './connection-keeper.ts'
import { FairShares } from './fair-shares.ts'
import { admitStream } from './gate.ts'
import { GrpcError } from './grpc-error.ts'
import { composeInterceptors, type Interceptor } from './interceptor.ts'
import { type CallInit, type CallRunner, type ServeStream, streamServer } from './run-call.ts'
import { connectionLimits, defaultSafeguards, type Safeguards } from './safeguards.ts'
import { type Handlers, methodPath } from './service.ts'

/** Who opens too many connections opens many: one message in this time says it. */
const QUIET_MS = 60_000

/** Options of a {@link GrpcServer}. */
export interface GrpcServerOptions {
  /** Stages around every call, the first outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined
  /** Bounds that differ from {@link defaultSafeguards}. */
  readonly safeguards?: Partial<Safeguards> | undefined
  /**
   * Methods whose calls may last for as long as their peer lives: a connection that carries one has no age, but is cut when its peer is silent for
   * {@link Safeguards.maxSilenceMs}.
   */
  readonly lastingMethods?: readonly DescMethod[] | undefined
  /** Largest request message of a method in bytes, where that differs from {@link Safeguards.maxRequestBytes}; undefined where it does not. */
  readonly maxRequestBytesOf?: ((method: DescMethod) => number | undefined) | undefined
  /** For the age and the silence of connections. Default: the system's. */
  readonly clock?: Clock | undefined
  /** Told about every error of a handler that is not a {@link GrpcError}: a fault of ours, which the caller hears nothing about. */
  readonly onUnexpectedError?: ((error: unknown, call: Call) => void) | undefined
  /** Told about a caller whose connection was closed at once because it has too many ({@link Safeguards.maxConnections}); at most once a minute. */
  readonly onRefused?: ((peer: Peer) => void) | undefined
}

/** A connection and who is behind it. */
interface Connection {
  readonly peer: Peer
  readonly kept: KeptConnection
  /** Handlers that run, also for callers who have gone. */
  running: number
}

/**
 * A gRPC server (gRPC over HTTP/2) without a port of its own: listeners hand it connections whose peer they have established, and every call of a
 * connection is that peer's. HTTP/2 is spoken by {@link Http2Connection}: node:http2 makes a dozen objects of a stream, most of which outlive two
 * collections, and a call costs it more than all that is done for it (`node bench/grpc-overhead.ts`); it also refuses what some clients send as the
 * authority of a Unix socket.
 */
export class GrpcServer implements AsyncDisposable {
  /** The bounds in force. */
  readonly safeguards: Safeguards
  /** What serves the streams of each method, by path. */
  readonly #methods = new Map<string, ServeStream<Connection>>()
  readonly #connections = new Map<Duplex, Http2Connection>()
  readonly #calls = new Set<Call>()
  readonly #runner: CallRunner<Connection>
  readonly #keeper: ConnectionKeeper
  readonly #limits: ConnectionLimits
  readonly #clock: Clock
  readonly #connectionShares: FairShares
  readonly #keptShares: FairShares
  readonly #onRefused: ((peer: Peer) => void) | undefined
  #quietUntilMs = Number.NEGATIVE_INFINITY
  readonly #lastingMethods: ReadonlySet<DescMethod>
  /** How to say that a lasting call has ended. */
  readonly #lastingCalls = new Map<Call, () => void>()
  #stopping: Promise<void> | undefined
  #drained: (() => void) | undefined

  /** Serves nothing before services and connections are handed to it. */
  constructor(options: GrpcServerOptions = {}) {
    this.safeguards = { ...defaultSafeguards, ...options.safeguards }
    this.#limits = connectionLimits(this.safeguards)
    this.#clock = options.clock ?? systemClock
    this.#connectionShares = new FairShares(this.safeguards.maxConnections)
    this.#keptShares = new FairShares(this.safeguards.maxKeptBytesInAll)
    this.#onRefused = options.onRefused
    this.#lastingMethods = new Set(options.lastingMethods)
    const maxSilenceMs = this.#lastingMethods.size > 0 ? this.safeguards.maxSilenceMs : undefined
    this.#keeper = new ConnectionKeeper({ ...this.safeguards, maxSilenceMs }, this.#clock)
    this.#runner = {
      open: (method, connection, init) => this.#open(method, connection, init),
      finish: call => this.#finish(call),
      rest: connection => {
        connection.running -= 1
      },
      intercept: composeInterceptors(options.interceptors ?? []),
      maxRequestBytesOf: method => options.maxRequestBytesOf?.(method) ?? this.safeguards.maxRequestBytes,
      onUnexpected: (error, call) => {
        if (!(error instanceof GrpcError)) options.onUnexpectedError?.(error, call)
      },
    }
  }

  /** Serves a service. Methods without a handler answer `UNIMPLEMENTED`, like services that were not added. */
  add<S extends DescService>(service: S, handlers: Handlers<S>): this {
    for (const method of service.methods) {
      const handler = handlers[method.localName as keyof typeof handlers] as
        | ((input: unknown, call: Call) => unknown)
        | undefined
      if (handler) this.#methods.set(methodPath(method), streamServer(method, handler.bind(handlers), this.#runner))
    }
    return this
  }

  /**
   * Takes over a connection: it ends with the server, or before. The peer is bound to it here, once and for all.
   *
   * @param connection a socket from which nothing has been read that belongs to HTTP/2
   */
  accept(connection: Duplex, peer: Peer): void {
    connection.on('error', () => connection.destroy())
    if (this.#stopping || connection.destroyed) {
      connection.destroy()
      return
    }
    const caller = callerKey(peer)
    if (!this.#connectionShares.take(caller, 1)) {
      connection.destroy()
      this.#tellOfRefused(peer)
      return
    }
    const mayKeep = (change: number) => this.#keptShares.take(caller, change)
    let bound: Connection
    const onStream = (stream: Http2Stream) => {
      try {
        // A caller who gives up at once and asks again must not keep more handlers busy than one who waits.
        if (bound.running >= this.safeguards.maxStreamsPerConnection) stream.reset(ErrorCode.REFUSED_STREAM)
        else admitStream(stream, this.#methods)?.(stream, bound)
      } catch {
        // What a stream of a peer's can do wrong ends that stream and nothing else.
        stream.reset(ErrorCode.INTERNAL_ERROR)
      }
    }
    const http2 = new Http2Connection(connection, this.#limits, { onStream, mayKeep }, () => this.#clock.monotonic())
    bound = { peer, kept: this.#keeper.add(connection, http2), running: 0 }
    this.#connections.set(connection, http2)
    connection.once('close', () => {
      this.#connections.delete(connection)
      this.#connectionShares.take(caller, -1)
      if (this.#connections.size === 0) this.#drained?.()
    })
  }

  #tellOfRefused(peer: Peer): void {
    const now = this.#clock.monotonic()
    if (now < this.#quietUntilMs) return
    this.#quietUntilMs = now + QUIET_MS
    this.#onRefused?.(peer)
  }

  /** Connections open now. */
  get connectionCount(): number {
    return this.#connections.size
  }

  /** Calls that run now. */
  get callCount(): number {
    return this.#calls.size
  }

  /**
   * Stops: no new connections and calls; streams end with `UNAVAILABLE`; single calls may finish until the grace is over; then everything ends.
   * Resolves when no connection is left. A second call waits for the same end.
   *
   * @param grace aborted when there is no more time; already aborted for none
   */
  stop(grace: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stop(grace)
    return this.#stopping
  }

  /** Stops without grace. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(AbortSignal.abort())
  }

  async #stop(grace: AbortSignal): Promise<void> {
    const reason = new GrpcError('UNAVAILABLE', 'the server is stopping')
    for (const call of this.#calls) if (call.method.methodKind !== 'unary') call.abort(reason)
    for (const connection of this.#connections.values()) connection.leave('stopping')
    if (this.#connections.size > 0) {
      const cut = () => {
        for (const call of this.#calls) call.abort(reason)
        // One turn, so that the statuses of the calls that end now still leave.
        setImmediate(() => {
          for (const connection of this.#connections.keys()) connection.destroy()
        })
      }
      const drained = new Promise<void>(resolve => {
        this.#drained = resolve
      })
      if (grace.aborted) cut()
      else grace.addEventListener('abort', cut, { once: true })
      await drained
      grace.removeEventListener('abort', cut)
    }
  }

  #open(method: DescMethod, connection: Connection, init: CallInit): Call {
    const { peer, kept } = connection
    connection.running += 1
    const call = new Call({ path: methodPath(method), method, peer, ...init })
    this.#calls.add(call)
    if (this.#lastingMethods.has(method)) this.#lastingCalls.set(call, kept.hold())
    if (this.#stopping && method.methodKind !== 'unary')
      call.abort(new GrpcError('UNAVAILABLE', 'the server is stopping'))
    return call
  }

  #finish(call: Call): void {
    this.#calls.delete(call)
    if (this.#lastingMethods.has(call.method)) {
      this.#lastingCalls.get(call)?.()
      this.#lastingCalls.delete(call)
    }
  }
}
