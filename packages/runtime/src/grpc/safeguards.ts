import type { ConnectionLimits } from '../http2/connection-limits.ts'

/** The bounds of a {@link GrpcServer}. Everything has a default; nothing is without a bound unless its comment says so. */
export interface Safeguards {
  /** Largest request message in bytes, as sent and as inflated. Default 4 MiB; of some methods less. */
  readonly maxRequestBytes: number
  /** Octets of the requests of all calls of a connection together, from their first octet to the end of their call, inflated. Default 32 MiB. */
  readonly maxKeptBytes: number
  /**
   * The same for all connections together, with the answers that wait for their peers and without the first 16 KiB of each connection: one caller (a
   * local user, an identity or an address) may keep at most as much as is left for others. Default 256 MiB.
   */
  readonly maxKeptBytesInAll: number
  /** Connections open at once; one caller may have at most as many as are left for others, so the first half of them. Default 16,384. */
  readonly maxConnections: number
  /** Calls open at once on one connection, those included whose caller has gone and whose handler has not noticed. Further ones are refused. Default 256. */
  readonly maxStreamsPerConnection: number
  /** Sum of names and values of a call's headers in bytes, and 32 for each of them. Default 64 KiB. */
  readonly maxHeaderBytes: number
  /** Number of a call's headers. Default 128. */
  readonly maxHeaders: number
  /** Octets of answers that may wait for one peer to read them; while there are more, it gets no new calls and no further answers. Default 32 MiB. */
  readonly maxUnsentBytes: number
  /** Streams that a peer may reset in a burst before its connection ends. Default 1,000. */
  readonly streamResetBurst: number
  /** Streams that a peer may reset per second after the burst. Default 33. */
  readonly streamResetRate: number
  /** Data frames under 64 bytes, beyond the first 16 of each call, that a connection may waste in a burst. Default 4,096. */
  readonly tinyFrameBurst: number
  /** Tiny frames per second after the burst. Default 256. */
  readonly tinyFrameRate: number
  /** A connection without calls ends after this many milliseconds. Default 10 minutes. */
  readonly maxIdleMs: number
  /**
   * After this many milliseconds, give or take a tenth, a connection takes no new calls; those that run have 3 more minutes. Connections with a
   * lasting call are exempt. Default: none. SPIRE's servers use 3 minutes on TCP.
   */
  readonly maxConnectionAgeMs: number | undefined
  /** A connection with a lasting call whose peer sends not one byte for this many milliseconds, thus no PING, is cut by then. Default 30 s. */
  readonly maxSilenceMs: number
}

/** The {@link Safeguards} of a server that was given none. */
export const defaultSafeguards: Safeguards = {
  maxRequestBytes: 4 << 20,
  maxKeptBytes: 32 << 20,
  maxKeptBytesInAll: 256 << 20,
  maxConnections: 16_384,
  maxStreamsPerConnection: 256,
  maxHeaderBytes: 64 << 10,
  maxHeaders: 128,
  maxUnsentBytes: 32 << 20,
  streamResetBurst: 1000,
  streamResetRate: 33,
  tinyFrameBurst: 4096,
  tinyFrameRate: 256,
  maxIdleMs: 10 * 60_000,
  maxConnectionAgeMs: undefined,
  maxSilenceMs: 30_000,
}

/** The part of the safeguards that an HTTP/2 connection enforces. */
export function connectionLimits(safeguards: Safeguards): ConnectionLimits {
  const { maxStreamsPerConnection: maxStreams, ...same } = safeguards
  return { maxStreams, ...same }
}
