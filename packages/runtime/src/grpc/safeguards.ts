import type { ServerOptions } from 'node:http2'

/** The bounds of a {@link GrpcServer}. Everything has a default; nothing is without a bound unless its comment says so. */
export interface Safeguards {
  /** Largest request message in bytes, as sent and as inflated. Default 4 MiB. */
  readonly maxRequestBytes: number
  /** Calls open at once on one connection. Further ones are refused. Default 256. */
  readonly maxStreamsPerConnection: number
  /** Sum of names and values of a call's headers in bytes. Default 64 KiB. */
  readonly maxHeaderBytes: number
  /** Number of a call's headers. Default 128. */
  readonly maxHeaders: number
  /** What one HTTP/2 session may hold in mebibytes before it gets no new streams. Default 32. */
  readonly maxSessionMemoryMiB: number
  /** Streams that a peer may reset in a burst before its connection ends. Default 1,000. */
  readonly streamResetBurst: number
  /** Streams that a peer may reset per second after the burst. Default 33. */
  readonly streamResetRate: number
  /** Data frames under {@link TINY_FRAME_BYTES} that a connection may waste in a burst. Default 4,096. */
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

/** A data frame below this size is charged to the tiny frames of its connection, unless it is among the first {@link FREE_TINY_FRAMES} of its call. */
export const TINY_FRAME_BYTES = 64
/** Whole small messages travel in such frames, so each call has some for nothing. */
export const FREE_TINY_FRAMES = 16

/** The {@link Safeguards} of a server that was given none. */
export const defaultSafeguards: Safeguards = {
  maxRequestBytes: 4 << 20,
  maxStreamsPerConnection: 256,
  maxHeaderBytes: 64 << 10,
  maxHeaders: 128,
  maxSessionMemoryMiB: 32,
  streamResetBurst: 1000,
  streamResetRate: 33,
  tinyFrameBurst: 4096,
  tinyFrameRate: 256,
  maxIdleMs: 10 * 60_000,
  maxConnectionAgeMs: undefined,
  maxSilenceMs: 30_000,
}

/** Node 24 knows these; the types do not yet. */
interface Http2Options extends ServerOptions {
  readonly maxOutstandingPings: number
  readonly streamResetBurst: number
  readonly streamResetRate: number
}

/** The part of the safeguards that Node's HTTP/2 enforces. Everything is set, so that no default of Node's is in force. */
export function http2Options(limits: Safeguards): Http2Options {
  return {
    settings: {
      enablePush: false,
      maxConcurrentStreams: limits.maxStreamsPerConnection,
      maxHeaderListSize: limits.maxHeaderBytes,
    },
    maxSessionMemory: limits.maxSessionMemoryMiB,
    maxHeaderListPairs: limits.maxHeaders,
    maxSettings: 32,
    maxOutstandingPings: 4,
    maxSessionInvalidFrames: 32,
    maxSessionRejectedStreams: 100,
    streamResetBurst: limits.streamResetBurst,
    streamResetRate: limits.streamResetRate,
  }
}
