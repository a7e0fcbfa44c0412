import { performServerHandshake, type ServerHttp2Session } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import type { Peer } from '../listeners/peer.ts'
import { Call } from './call.ts'
import { ConnectionKeeper, type KeptConnection } from './connection-keeper.ts'
import { admitStream, TinyFrameMeter } from './gate.ts'
import { GrpcError } from './grpc-error.ts'
import { composeInterceptors, type Interceptor } from './interceptor.ts'
import { type CallInit, type CallRunner, type ServeStream, streamServer } from './run-call.ts'
import { defaultSafeguards, http2Options, type Safeguards } from './safeguards.ts'
import { type Handlers, methodPath } from './service.ts'

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
  /** For the age and the silence of connections. Default: the system's. */
  readonly clock?: Clock | undefined
  /** Told about every error of a handler that is not a {@link GrpcError}: a fault of ours, which the caller hears nothing about. */
  readonly onUnexpectedError?: ((error: unknown, call: Call) => void) | undefined
}

/** How long a peer may take to close its half of a connection that we have ended. */
const LINGER_MS = 1000

/** A connection and who is behind it. */
interface Connection {
  readonly peer: Peer
  readonly kept: KeptConnection
}

/**
 * A gRPC server (gRPC over HTTP/2) without a port of its own: listeners hand it connections whose peer they have established, and every call of a
 * connection is that peer's. It stands on node:http2 itself, since @grpc/grpc-js binds no peer to a connection, bounds neither resets, headers nor
 * tiny frames, exempts no connection from its age, and costs more for each call and each held stream (`node bench/grpc-overhead.ts`).
 */
export class GrpcServer implements AsyncDisposable {
  /** The bounds in force. */
  readonly safeguards: Safeguards
  /** What serves the streams of each method, by path. */
  readonly #methods = new Map<string, ServeStream<Connection>>()
  readonly #connections = new Map<Duplex, ServerHttp2Session>()
  readonly #calls = new Set<Call>()
  readonly #runner: CallRunner<Connection>
  readonly #keeper: ConnectionKeeper
  readonly #lastingMethods: ReadonlySet<DescMethod>
  /** How to say that a lasting call has ended. */
  readonly #lastingCalls = new Map<Call, () => void>()
  #stopping: Promise<void> | undefined
  #drained: (() => void) | undefined

  /** Serves nothing before services and connections are handed to it. */
  constructor(options: GrpcServerOptions = {}) {
    this.safeguards = { ...defaultSafeguards, ...options.safeguards }
    this.#lastingMethods = new Set(options.lastingMethods)
    const maxSilenceMs = this.#lastingMethods.size > 0 ? this.safeguards.maxSilenceMs : undefined
    this.#keeper = new ConnectionKeeper({ ...this.safeguards, maxSilenceMs }, options.clock ?? systemClock)
    this.#runner = {
      open: (method, connection, init) => this.#open(method, connection, init),
      finish: call => this.#finish(call),
      intercept: composeInterceptors(options.interceptors ?? []),
      maxRequestBytes: this.safeguards.maxRequestBytes,
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
    const session = performServerHandshake(connection, http2Options(this.safeguards))
    this.#connections.set(connection, session)
    // A session that has ended says so and waits for the peer to agree, which a peer that wants to keep the place never does.
    connection.once('finish', () => {
      const timer = setTimeout(() => connection.destroy(), LINGER_MS)
      connection.once('close', () => clearTimeout(timer))
    })
    connection.once('close', () => {
      this.#connections.delete(connection)
      if (this.#connections.size === 0) this.#drained?.()
    })
    const kept = this.#keeper.add(connection, session)
    const bound: Connection = { peer, kept }
    const meter = new TinyFrameMeter(this.safeguards, session)
    session.on('error', () => connection.destroy())
    session.on('stream', (stream, headers) => {
      try {
        const serve = admitStream(stream, headers, this.#methods)
        if (serve === undefined) return
        stream.once('close', kept.streamBegan())
        serve(stream, headers, bound, meter.ofStream())
      } catch {
        // What a stream of a peer's can do wrong ends that stream and nothing else.
        stream.destroy()
      }
    })
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
    for (const session of this.#connections.values()) session.close()
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

  #open(method: DescMethod, { peer, kept }: Connection, init: CallInit): Call {
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
