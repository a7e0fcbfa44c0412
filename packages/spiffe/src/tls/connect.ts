import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts'
import { type SpiffeClock, systemClock } from '../clock.ts'
import { SpiffeError } from '../spiffe-error.ts'
import type { X509Svid, X509SvidSource } from '../svid/x509-svid.ts'
import type { VerifiedX509Svid } from '../svid/x509-verify.ts'
import type { Authorizer } from './authorizer.ts'
import { type LifetimeOptions, limitLifetime } from './lifetime.ts'
import { tlsClientOptions } from './options.ts'
import { verifyPeer } from './peer.ts'

/** A source that also knows all its bundles, which TLS clients need beforehand. */
export interface X509BundleCollection extends X509BundleSource {
  /** All bundles of one moment, one for each trusted trust domain. */
  getX509Bundles(): Iterable<X509Bundle>
}

/** How to connect. */
export interface ConnectTlsOptions extends LifetimeOptions {
  /** Who may answer. */
  readonly authorizer: Authorizer
  /** What the server is verified against; read anew for every connection. */
  readonly bundles: X509BundleCollection
  /** What to present; read anew for every connection. Left out, nothing is presented: the server cannot know who calls. */
  readonly svid?: X509SvidSource | undefined
  /** Where to connect: `host` and `port`, or `path`, or `socket`; also `ALPNProtocols`, `servername` and the like. */
  readonly connection: Omit<ConnectionOptions, keyof typeof FIXED>
  /** Ends the attempt, which then rejects. It does not end the connection later. */
  readonly signal?: AbortSignal | undefined
  /** For connection, handshake and verification together. Default 10,000. */
  readonly timeoutMs?: number | undefined
  /** Default: the system's clock. */
  readonly clock?: SpiffeClock | undefined
}

/** Options that decide who is trusted; they are never the caller's. */
const FIXED = {
  key: true,
  cert: true,
  ca: true,
  pfx: true,
  crl: true,
  session: true,
  secureContext: true,
  secureOptions: true,
  rejectUnauthorized: true,
  requestCert: true,
  checkServerIdentity: true,
  allowPartialTrustChain: true,
  minVersion: true,
} as const

/** A connection to a verified peer. */
export interface VerifiedConnection {
  /** The connection, with nothing read from it yet. The caller owns it. */
  readonly socket: TLSSocket
  /** Who answered. */
  readonly peer: VerifiedX509Svid
}

/**
 * Connects by TLS and resolves once both OpenSSL and our own validator accept the server's X509-SVID and the authorizer accepts
 * its SPIFFE ID. The connection ends before the SVID of either side does.
 *
 * Key, chain and bundles are one snapshot of their sources, taken at this call. Sessions are never resumed.
 *
 * @throws {@link SpiffeError} `ERR_TLS_OWN_SVID_EXPIRED`, `ERR_TLS_PEER_MISSING`, `ERR_TLS_PEER_REFUSED`,
 * `ERR_BUNDLE_NOT_FOUND` and as `verifyX509Svid`; the signal's reason; the error of the connection
 */
export async function connectTls(options: ConnectTlsOptions): Promise<VerifiedConnection> {
  const clock = options.clock ?? systemClock
  options.signal?.throwIfAborted()
  const svid = options.svid === undefined ? undefined : usable(options.svid.getX509Svid(), clock.now())
  const bundles = relevantBundles(options)
  const secure = tlsClientOptions(svid, ...bundles)
  const given = Object.fromEntries(Object.entries(options.connection).filter(([name]) => !Object.hasOwn(FIXED, name)))
  const socket = connect({ ...given, ...secure })
  // For good: an error that comes when nobody listens any more must not end the process.
  socket.on('error', () => {})
  const guard = abortable(socket, clock, options)
  try {
    await guard.race(secured(socket))
    const peer = await guard.race(verifyPeer(socket, options.bundles, options.authorizer, clock.now()))
    const end = svid === undefined || peer.expiresAt < svid.expiresAt ? peer.expiresAt : svid.expiresAt
    limitLifetime(socket, end, clock, options)
    return { socket, peer }
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    guard.end()
  }
}

/** The SVID, if it can be presented now. @throws {@link SpiffeError} `ERR_TLS_OWN_SVID_EXPIRED` */
export function usable(svid: X509Svid, now: Date): X509Svid {
  if (now <= svid.expiresAt) return svid
  throw new SpiffeError(
    'ERR_TLS_OWN_SVID_EXPIRED',
    `own X509-SVID of ${svid.id} expired, last good at ${svid.expiresAt.toISOString()}`,
  )
}

function relevantBundles({ authorizer, bundles }: ConnectTlsOptions): X509Bundle[] {
  if (authorizer.trustDomains === undefined) return [...bundles.getX509Bundles()]
  return authorizer.trustDomains.flatMap(trustDomain => bundles.getX509Bundle(trustDomain) ?? [])
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve())
    socket.once('error', reject)
    socket.once('close', () => reject(new SpiffeError('ERR_TLS_CLOSED', 'connection closed during the handshake')))
  })
}

/** Ends the socket when the caller's signal aborts or time runs out. */
function abortable(socket: TLSSocket, clock: SpiffeClock, options: ConnectTlsOptions) {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => {})
  const onAbort = () => reject(options.signal?.reason)
  options.signal?.addEventListener('abort', onAbort, { once: true })
  const timeoutMs = options.timeoutMs ?? 10_000
  const cancel = clock.after(timeoutMs, () => {
    reject(new SpiffeError('ERR_TLS_CLOSED', `no verified connection within ${timeoutMs} ms`))
    socket.destroy()
  })
  return {
    race: <T>(work: Promise<T>): Promise<T> => Promise.race([work, promise]),
    end: () => {
      cancel()
      options.signal?.removeEventListener('abort', onAbort)
    },
  }
}
