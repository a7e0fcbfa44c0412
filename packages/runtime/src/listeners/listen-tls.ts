import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { pemEncode } from '@plastron/pki'
import type { Clock } from '../clock/clock.ts'
import { systemClock } from '../clock/system-clock.ts'
import { addressKey } from './address-key.ts'
import { type AddressSet, unmapped } from './address-set.ts'
import { ConnectionEnds } from './connection-ends.ts'
import { type HandshakePlace, HandshakeQueue } from './handshake-queue.ts'
import { ListenerError } from './listener-error.ts'
import type { TlsPeer, VerifiedIdentity } from './peer.ts'
import { peerChain } from './peer-chain.ts'
import { readProxyHeader } from './proxy-protocol.ts'
import type { TlsIdentity } from './tls-identity.ts'
import { tlsProtocolOptions } from './tls-options.ts'

/** Options of {@link listenTls}. */
export interface TlsListenerOptions {
  /** IP address to listen on, or a name that resolves to one. */
  readonly host: string
  /** Port; 0 for a free one. */
  readonly port: number
  /** What the listener shows. {@link TlsListener.setIdentity} changes it for new connections. */
  readonly identity: TlsIdentity
  /**
   * Decides about a client's certificates before a byte of HTTP/2 is read: DER, leaf first, with every intermediate that the client sent. Called
   * only for clients that present one. What it throws ends the connection.
   */
  readonly verifyClient: (chain: readonly Uint8Array[]) => Promise<VerifiedIdentity>
  /** Gets every connection with its peer, and owns it from then on. */
  readonly onConnection: (socket: TLSSocket, peer: TlsPeer) => void
  /** Told why a connection was refused, and from which address: the client's if a trusted proxy has named it. */
  readonly onRefused?: ((error: ListenerError, address: string) => void) | undefined
  /**
   * Networks of proxies that say by the PROXY protocol whose connections they pass on. Their connections need no header; connections with one
   * from elsewhere are refused. Default: none, and nobody is asked.
   */
  readonly trustedProxies?: AddressSet | undefined
  /** Milliseconds from accepting to the end of verification, the PROXY header included. Default 10,000. */
  readonly handshakeTimeoutMs?: number | undefined
  /** Connections that have not come through verification, in all. Default 1,024. */
  readonly maxHandshakes?: number | undefined
  /** Those of one address. Default 128. */
  readonly maxHandshakesPerAddress?: number | undefined
  /** Connections that wait for their handshake to begin, in all; half as many for one address. Further ones are refused. Default 4,096. */
  readonly maxWaitingHandshakes?: number | undefined
  /**
   * Connections of trusted proxies of which it is not yet known whose they are, in all; further ones are refused. Until their header has come they
   * are in none of the other numbers, and then in those of the client's address. Default 1,024.
   */
  readonly maxAwaitedProxyHeaders?: number | undefined
  /** Connections at once; further ones are refused. Default 16,384. */
  readonly maxConnections?: number | undefined
  /** Default: the system's. */
  readonly clock?: Clock | undefined
}

/** A TLS port that accepts connections until it is disposed of. Connections that came through are not its concern any more. */
export interface TlsListener extends AsyncDisposable {
  /** Where it listens. */
  readonly address: { readonly host: string; readonly port: number }
  /** Shows another certificate on new connections. Those that exist go on. */
  setIdentity(identity: TlsIdentity): void
  /** Connections that have not come through verification. */
  readonly handshakes: number
}

/**
 * Listens for mutual TLS. Clients are asked for a certificate; whether it is good is decided by `verifyClient` alone, before the connection is
 * handed on. A client without one is handed on without an identity. A connection ends when the client's certificates do; sessions are never
 * resumed; nothing but HTTP/2 is negotiated.
 *
 * @throws {ListenerError} `ERR_LISTEN_IN_USE`, `ERR_LISTEN_ADDRESS`
 */
export async function listenTls(options: TlsListenerOptions): Promise<TlsListener> {
  const listener = new Listener(options)
  await listener.listen(options.host, options.port)
  return listener
}

class Listener implements TlsListener {
  readonly #options: TlsListenerOptions
  readonly #clock: Clock
  readonly #ends: ConnectionEnds
  /** Never listens: it does the handshakes of the connections that it is given. */
  readonly #tls: ReturnType<typeof createTlsServer>
  readonly #tcp: Server
  readonly #waiting = new WeakMap<Socket, { secured(tls: TLSSocket): void; failed(error: Error): void }>()
  readonly #pending = new Set<Socket>()
  readonly #queue: HandshakeQueue
  /** Connections of trusted proxies that have not said whose they are. */
  #awaitedHeaders = 0

  constructor(options: TlsListenerOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#ends = new ConnectionEnds(this.#clock)
    this.#queue = new HandshakeQueue({
      maxRunning: options.maxHandshakes ?? 1024,
      maxRunningOfAddress: options.maxHandshakesPerAddress ?? 128,
      maxWaiting: options.maxWaitingHandshakes ?? 4096,
    })
    this.#tls = createTlsServer({
      ...contextOptions(options.identity),
      ALPNProtocols: ['h2'],
      requestCert: true,
      // Not a word of TLS's own verification is used, and with `ca` set it would hide the client's intermediates.
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeTimeoutMs ?? 10_000,
    })
    this.#tls.on('secureConnection', tls => {
      tls.on('error', () => tls.destroy())
      const waiting = this.#waiting.get(rawSocket(tls))
      if (!waiting) tls.destroy()
      else if (tls.alpnProtocol !== 'h2') waiting.failed(new Error('the client does not offer HTTP/2'))
      else waiting.secured(tls)
    })
    this.#tls.on('tlsClientError', (error, tls) => {
      this.#waiting.get(rawSocket(tls))?.failed(error)
      tls.destroy()
    })
    this.#tcp = createServer({ noDelay: true, pauseOnConnect: true }, socket => void this.#accept(socket))
    this.#tcp.maxConnections = options.maxConnections ?? 16_384
  }

  get address() {
    const address = this.#tcp.address()
    if (address === null || typeof address === 'string')
      throw new ListenerError('ERR_LISTEN_ADDRESS', 'the listener has ended')
    return { host: address.address, port: address.port }
  }

  get handshakes(): number {
    return this.#pending.size
  }

  setIdentity(identity: TlsIdentity): void {
    this.#tls.setSecureContext(contextOptions(identity))
  }

  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((done, fail) => {
      this.#tcp.once('listening', done)
      this.#tcp.once('error', (cause: NodeJS.ErrnoException) => {
        const code = cause.code === 'EADDRINUSE' ? 'ERR_LISTEN_IN_USE' : 'ERR_LISTEN_ADDRESS'
        fail(new ListenerError(code, `cannot listen on ${host}:${port}: ${cause.message}`, { cause }))
      })
      this.#tcp.listen(port, host)
    })
    this.#tcp.on('error', () => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // close() reports only when the last connection has ended; the port is free at once.
    this.#tcp.close()
    for (const socket of this.#pending) socket.destroy()
    await new Promise<void>(done => setImmediate(done))
  }

  async #accept(raw: Socket): Promise<void> {
    raw.on('error', () => raw.destroy())
    let address = unmapped(raw.remoteAddress ?? '')
    const { handshakeTimeoutMs = 10_000 } = this.#options
    this.#pending.add(raw)
    const timer = setTimeout(
      () => raw.destroy(new Error(`the handshake took longer than ${handshakeTimeoutMs} ms`)),
      handshakeTimeoutMs,
    )
    let socket: TLSSocket | undefined
    let place: HandshakePlace | undefined
    try {
      const source = await this.#source(raw, address)
      address = source.address
      place = this.#queue.enter(addressKey(address))
      if (place === undefined) throw new ListenerError('ERR_PEER_TLS', 'there are too many unfinished handshakes')
      raw.once('close', () => place?.leave())
      await place.begins
      const { tls, ended } = await this.#handshake(raw)
      socket = tls
      const chain = peerChain(tls)
      const identity = chain.length > 0 ? await Promise.race([this.#options.verifyClient(chain), ended]) : undefined
      this.#handOver(tls, { kind: 'tls', ...source, identity })
    } catch (cause) {
      ;(socket ?? raw).destroy()
      const reason = raw.errored ?? cause
      const error =
        reason instanceof ListenerError
          ? reason
          : new ListenerError(
              'ERR_PEER_TLS',
              `a connection was refused: ${reason instanceof Error ? reason.message : String(reason)}`,
              {
                cause: reason,
              },
            )
      this.#options.onRefused?.(error, address)
    } finally {
      clearTimeout(timer)
      this.#pending.delete(raw)
      place?.leave()
    }
  }

  /** Whose connection it is: the client's own, or that which a trusted proxy names. */
  async #source(raw: Socket, address: string): Promise<{ address: string; port: number }> {
    const own = { address, port: raw.remotePort ?? 0 }
    const { trustedProxies } = this.#options
    if (!trustedProxies || trustedProxies.size === 0) return own
    // Without the trust nobody need wait for a header: a connection that begins with one is no TLS, and fails as such.
    if (!trustedProxies.has(address)) return own
    if (this.#awaitedHeaders >= (this.#options.maxAwaitedProxyHeaders ?? 1024))
      throw new ListenerError('ERR_PROXY_HEADER', 'there are too many connections of proxies without a header')
    this.#awaitedHeaders += 1
    try {
      const header = await readProxyHeader(raw)
      if (header.kind === 'absent' || !header.source) return own
      return { address: unmapped(header.source.address), port: header.source.port }
    } finally {
      this.#awaitedHeaders -= 1
    }
  }

  #handshake(raw: Socket): Promise<{ tls: TLSSocket; ended: Promise<never> }> {
    const { promise: ended, reject } = Promise.withResolvers<never>()
    ended.catch(() => undefined)
    raw.once('close', () => reject(raw.errored ?? new Error('the client ended the connection during the handshake')))
    const secured = new Promise<TLSSocket>(resolve => {
      this.#waiting.set(raw, { secured: resolve, failed: reject })
    })
    if (raw.destroyed) reject(new Error('the client has gone'))
    else this.#tls.emit('connection', raw)
    return Promise.race([secured, ended]).then(tls => ({ tls, ended }))
  }

  #handOver(socket: TLSSocket, peer: TlsPeer): void {
    if (socket.destroyed) throw new Error('the client ended the connection during verification')
    if (peer.identity) {
      const { notAfter } = peer.identity
      if (notAfter.getTime() <= this.#clock.now().getTime())
        throw new Error('the certificate of the client has expired')
      this.#ends.add(socket, notAfter)
    }
    this.#options.onConnection(socket, peer)
  }
}

/** The connection under a TLS socket. Node tells nobody which of them a finished handshake belongs to, but keeps it here. */
function rawSocket(tls: TLSSocket): Socket {
  return (tls as unknown as { _parent: Socket })._parent
}

function contextOptions({ key, chain }: TlsIdentity): SecureContextOptions {
  return { ...tlsProtocolOptions, key: key.toPem(), cert: pemEncode('CERTIFICATE', ...chain) }
}
