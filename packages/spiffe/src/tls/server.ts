import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { X509BundleSource } from '../bundle/x509-bundle.ts'
import { type SpiffeClock, systemClock } from '../clock.ts'
import type { X509Svid, X509SvidSource } from '../svid/x509-svid.ts'
import type { VerifiedX509Svid } from '../svid/x509-verify.ts'
import type { Authorizer } from './authorizer.ts'
import { usable } from './connect.ts'
import { type LifetimeOptions, limitLifetime } from './lifetime.ts'
import { keyAndChain, tlsServerOptions } from './options.ts'
import { verifyPeer } from './peer.ts'

/** What a {@link SpiffeTlsServer} is made of. */
export interface SpiffeTlsServerOptions extends LifetimeOptions {
  /** What to present; asked at every connection, so that a rotated SVID is in the next handshake. */
  readonly svid: X509SvidSource
  /** What clients are verified against; asked at every connection. */
  readonly bundles: X509BundleSource
  /** Who may connect. `no-client-certificate` asks nobody for a certificate: every client is anonymous. */
  readonly authorizer: Authorizer | 'no-client-certificate'
  /**
   * Gets every connection whose client was verified and authorized, with nothing read from it yet. For HTTP hand it to a server:
   * `socket => httpsServer.emit('secureConnection', socket)`.
   */
  readonly onConnection: (socket: TLSSocket, peer: VerifiedX509Svid | undefined) => void
  /** Gets what was refused and why. Default: nothing happens. */
  readonly onRefused?: ((error: unknown) => void) | undefined
  /** For example `['h2']`. */
  readonly alpnProtocols?: readonly string[] | undefined
  /** For handshake and verification. Default 10,000. */
  readonly handshakeTimeoutMs?: number | undefined
  /** Default: the system's clock. */
  readonly clock?: SpiffeClock | undefined
}

/**
 * A TLS server that presents an X509-SVID and accepts clients by theirs.
 *
 * Every handshake uses one consistent pair of key and chain. Sessions cannot be resumed, so every connection is verified.
 * When the own SVID is missing or expired, connections are refused before the handshake. A connection ends before the SVID of
 * either side does.
 */
export class SpiffeTlsServer implements AsyncDisposable {
  /** The server to listen with, or to hand accepted sockets to by `emit('connection', socket)`. */
  readonly server: Server
  readonly #options: SpiffeTlsServerOptions
  readonly #clock: SpiffeClock
  readonly #sockets = new Set<Socket>()
  #presented: X509Svid | undefined

  /** Takes the SVID of this moment and listens nowhere yet. @throws what `options.svid` throws when it has no SVID */
  constructor(options: SpiffeTlsServerOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.server = createServer({
      ...tlsServerOptions(options.svid.getX509Svid(), this.#asksClients),
      handshakeTimeout: options.handshakeTimeoutMs ?? 10_000,
      ALPNProtocols: options.alpnProtocols === undefined ? undefined : [...options.alpnProtocols],
    })
    // Before Node's own listener, which starts the handshake with the context that is then set.
    this.server.prependListener('connection', socket => this.#admit(socket))
    this.server.on('secureConnection', socket => {
      void this.#accept(socket)
    })
    this.server.on('tlsClientError', (error, socket) => {
      // Node leaves a socket open whose handshake took too long.
      socket.destroy()
      this.#refused(error)
    })
  }

  /** Listens; resolves with the port. */
  listen(port = 0, host = '127.0.0.1'): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(port, host, () => {
        this.server.off('error', reject)
        const address = this.server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
    })
  }

  /** Stops listening and ends every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>(resolve => this.server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  get #asksClients(): boolean {
    return this.#options.authorizer !== 'no-client-certificate'
  }

  /** Brings the newest SVID into the context of the handshake that is about to begin. */
  #admit(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', () => {})
    try {
      const svid = usable(this.#options.svid.getX509Svid(), this.#clock.now())
      if (svid === this.#presented) return
      this.server.setSecureContext({ ...tlsServerOptions(svid, this.#asksClients), ...keyAndChain(svid) })
      this.#presented = svid
    } catch (error) {
      socket.destroy()
      this.#refused(error)
    }
  }

  async #accept(socket: TLSSocket): Promise<void> {
    const { authorizer, bundles } = this.#options
    socket.on('error', () => {})
    const timeoutMs = this.#options.handshakeTimeoutMs ?? 10_000
    const cancel = this.#clock.after(timeoutMs, () => socket.destroy())
    try {
      const peer =
        authorizer === 'no-client-certificate'
          ? undefined
          : await verifyPeer(socket, bundles, authorizer, this.#clock.now())
      if (socket.destroyed) return
      limitLifetime(socket, endOfBoth(socket, peer), this.#clock, this.#options)
      this.#options.onConnection(socket, peer)
    } catch (error) {
      socket.destroy()
      this.#refused(error)
    } finally {
      cancel()
    }
  }

  #refused(error: unknown): void {
    try {
      this.#options.onRefused?.(error)
    } catch {
      // A callback for reports has nobody to report its own failure to, and must not end the process.
    }
  }
}

/** When the first of the two SVIDs of a connection ends: the client's and the one that was presented to it. */
function endOfBoth(socket: TLSSocket, peer: VerifiedX509Svid | undefined): Date {
  const own = new Date(socket.getX509Certificate()?.validTo ?? Number.NaN)
  return peer === undefined || own < peer.expiresAt ? own : peer.expiresAt
}
