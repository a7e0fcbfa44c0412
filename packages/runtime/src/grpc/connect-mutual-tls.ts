import { isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js'
import { pemEncode } from '@plastron/pki'
import { peerChain } from '../listeners/peer-chain.ts'
import type { TlsIdentity } from '../listeners/tls-identity.ts'
import { tlsProtocolOptions } from '../listeners/tls-options.ts'
import { Channel, type ChannelOptions } from './channel.ts'

/** Options of {@link connectMutualTls}. */
export interface TlsChannelOptions extends ChannelOptions {
  /** Name or IP address. */
  readonly host: string
  /** TCP port. */
  readonly port: number
  /** Asked before every connection for the certificate to present; absent or undefined: none. */
  readonly identity?: (() => TlsIdentity | undefined) | undefined
  /**
   * Asked before every connection for the DER certificates that TLS itself is to trust as anchors, authorities below a root included. Without it
   * {@link verifyServer} decides alone, which is what a bootstrap without a bundle needs.
   */
  readonly roots?: (() => readonly Uint8Array[]) | undefined
  /**
   * Decides about the server's certificates: DER, leaf first. What it throws fails the connection, and is what calls report. TLS and this must
   * both accept.
   */
  readonly verifyServer: (chain: readonly Uint8Array[]) => Promise<void>
  /** Milliseconds from the TCP connection to the end of verification. Default 10,000. */
  readonly handshakeTimeoutMs?: number | undefined
}

/** A channel to a server over TLS whose certificate our own check decides about, and which is shown a certificate of ours. */
export function connectMutualTls(options: TlsChannelOptions): Channel {
  const host = isIP(options.host) === 6 ? `[${options.host}]` : options.host
  return new Channel(`dns:${host}:${options.port}`, new TlsCredentials(options), options)
}

class TlsCredentials extends ChannelCredentials {
  readonly #options: TlsChannelOptions

  constructor(options: TlsChannelOptions) {
    super()
    this.#options = options
  }

  override _isSecure(): boolean {
    return true
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this
  }

  override _createSecureConnector() {
    return {
      connect: async (socket: Socket) => ({ socket: await handshake(socket, this.#options), secure: true }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    }
  }
}

async function handshake(raw: Socket, options: TlsChannelOptions): Promise<TLSSocket> {
  const socket = connect({ ...connectionOptions(options), socket: raw })
  const failed = new Promise<never>((_, reject) => {
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the server closed the connection during the handshake')))
  })
  const timeoutMs = options.handshakeTimeoutMs ?? 10_000
  const timer = setTimeout(
    () => socket.destroy(new Error(`the TLS handshake took longer than ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    const connected = new Promise<void>(resolve => socket.once('secureConnect', resolve))
    await Promise.race([connected, failed])
    if (socket.alpnProtocol !== 'h2') throw new Error('the server does not speak HTTP/2')
    await Promise.race([options.verifyServer(peerChain(socket)), failed])
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
    failed.catch(() => undefined)
  }
}

function connectionOptions(options: TlsChannelOptions): ConnectionOptions {
  const roots = options.roots?.()
  const identity = options.identity?.()
  // Node takes an empty `ca` for "the public web's authorities".
  if (roots?.length === 0) throw new Error('there is no authority to verify the server with')
  return {
    ...tlsProtocolOptions,
    ALPNProtocols: ['h2'],
    ...(isIP(options.host) ? {} : { servername: options.host }),
    ...(identity ? { key: identity.key.toPem(), cert: pemEncode('CERTIFICATE', ...identity.chain) } : {}),
    ...(roots
      ? { ca: pemEncode('CERTIFICATE', ...roots), allowPartialTrustChain: true, rejectUnauthorized: true }
      : { rejectUnauthorized: false }),
    // Names do not matter: identities are SPIFFE IDs, and verifyServer checks them.
    checkServerIdentity: () => undefined,
  }
}
