import type { Duplex } from 'node:stream'
import type { DescMethod, DescService, Message } from '@bufbuild/protobuf'
import { type ConnectionInjector, Server, type UntypedHandleCall } from '@grpc/grpc-js'
import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import type { Peer } from '../listeners/peer.ts'
import { Call } from './call.ts'
import { ConnectionKeeper } from './connection-keeper.ts'
import { installGate } from './gate.ts'
import { GrpcError } from './grpc-error.ts'
import { injectorWithHttp2 } from './grpc-js-internals.ts'
import { composeInterceptors, type Interceptor } from './interceptor.ts'
import { type CallRunner, type RawCall, toGrpcJs } from './run-call.ts'
import { defaultSafeguards, grpcServerOptions, http2ServerOptions, type Safeguards } from './safeguards.ts'
import { type Handlers, methodDefinition, methodPath } from './service.ts'

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

let lastTag = 0

/**
 * A gRPC server without a port of its own: listeners hand it connections whose peer they have established. A call on a connection whose peer is
 * not known is refused.
 */
export class GrpcServer implements AsyncDisposable {
  /** The bounds in force. */
  readonly safeguards: Safeguards
  readonly #server: Server
  readonly #injector: ConnectionInjector
  readonly #paths = new Set<string>()
  /** Who is behind each connection, by the tag that its socket carries in place of an address. */
  readonly #peers = new Map<string, Peer>()
  readonly #connections = new Set<Duplex>()
  readonly #calls = new Set<Call>()
  readonly #runner: CallRunner
  readonly #keeper: ConnectionKeeper
  readonly #lastingMethods: ReadonlySet<DescMethod>
  /** How to say that a lasting call has ended. */
  readonly #lastingCalls = new Map<Call, () => void>()
  #stopping: Promise<void> | undefined
  #drained: (() => void) | undefined

  /** Serves nothing before services and connections are handed to it. */
  constructor(options: GrpcServerOptions = {}) {
    this.safeguards = { ...defaultSafeguards, ...options.safeguards }
    this.#server = new Server(grpcServerOptions(this.safeguards))
    const { injector, http2Server } = injectorWithHttp2(this.#server, http2ServerOptions(this.safeguards))
    this.#injector = injector
    installGate(http2Server, this.safeguards, path => this.#paths.has(path))
    this.#keeper = new ConnectionKeeper(this.safeguards, options.clock ?? systemClock)
    this.#lastingMethods = new Set(options.lastingMethods)
    http2Server.on('session', session => this.#keeper.setSession(session.socket.remoteAddress ?? '', session))
    this.#runner = {
      open: (method, raw, request) => this.#open(method, raw, request),
      finish: call => this.#finish(call),
      intercept: composeInterceptors(options.interceptors ?? []),
      onUnexpected: (error, call) => {
        if (!(error instanceof GrpcError)) options.onUnexpectedError?.(error, call)
      },
    }
  }

  /** Serves a service. Methods without a handler answer `UNIMPLEMENTED`, like services that were not added. */
  add<S extends DescService>(service: S, handlers: Handlers<S>): this {
    const implementation: Record<string, UntypedHandleCall> = {}
    for (const method of service.methods) {
      const handler = handlers[method.localName as keyof typeof handlers] as
        | ((input: unknown, call: Call) => unknown)
        | undefined
      if (!handler) continue
      implementation[method.localName] = toGrpcJs(method, handler.bind(handlers), this.#runner)
    }
    const methods = service.methods.filter(method => implementation[method.localName])
    if (methods.length === 0) return this
    const definitions = methods.map(method => [method.localName, methodDefinition(method)] as const)
    this.#server.addService(Object.fromEntries(definitions), implementation)
    for (const [, { path }] of definitions) this.#paths.add(path)
    return this
  }

  /**
   * Takes over a connection: it ends with the server, or before. The peer is bound to it here, once and for all.
   *
   * @param connection a socket from which nothing has been read that belongs to HTTP/2
   */
  accept(connection: Duplex, peer: Peer): void {
    connection.on('error', () => connection.destroy())
    if (this.#stopping) {
      connection.destroy()
      return
    }
    lastTag += 1
    const tag = `connection-${lastTag}`
    // grpc-js passes on nothing else of the socket to a call: its address becomes the key to the peer.
    Object.defineProperty(connection, 'remoteAddress', { value: tag })
    Object.defineProperty(connection, 'remotePort', { value: undefined })
    this.#peers.set(tag, peer)
    this.#connections.add(connection)
    // A session that has ended says so and waits for the peer to agree, which a peer that wants to keep the place never does.
    connection.once('finish', () => {
      const timer = setTimeout(() => connection.destroy(), LINGER_MS)
      connection.once('close', () => clearTimeout(timer))
    })
    connection.once('close', () => {
      this.#peers.delete(tag)
      this.#connections.delete(connection)
      if (this.#connections.size === 0) this.#drained?.()
    })
    this.#keeper.add(tag, connection)
    this.#injector.injectConnection(connection)
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
    this.#injector.destroy()
    if (this.#connections.size > 0) {
      const cut = () => {
        for (const call of this.#calls) call.abort(reason)
        // One turn, so that the statuses of the calls that end now still leave.
        setImmediate(() => {
          for (const connection of this.#connections) connection.destroy()
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

  #open(method: DescMethod, raw: RawCall, request: Message | undefined): Call {
    const peer = this.#peers.get(raw.getPeer())
    if (!peer) throw new GrpcError('UNAUTHENTICATED', 'the caller of this connection is not known')
    const deadline = raw.getDeadline()
    const call = new Call({
      path: methodPath(method),
      method,
      peer,
      request,
      metadata: raw.metadata,
      deadlineMs: typeof deadline === 'number' ? deadline : deadline.getTime(),
    })
    this.#calls.add(call)
    if (this.#lastingMethods.has(method)) this.#lastingCalls.set(call, this.#keeper.hold(raw.getPeer()))
    // Also said after every call that has ended well.
    raw.on('cancelled', () => {
      if (this.#calls.has(call)) call.abortByCaller(Date.now())
    })
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
