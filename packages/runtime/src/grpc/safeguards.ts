import type { ServerOptions } from '@grpc/grpc-js'

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
  /** Time without a sign of life after which a PING is sent. Default: none, which is right for Unix sockets. */
  readonly keepaliveMs: number | undefined
  /** Time for the answer to a PING. Default 20 s. */
  readonly keepaliveTimeoutMs: number
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
  keepaliveMs: undefined,
  keepaliveTimeoutMs: 20_000,
}

/**
 * The part of the safeguards that grpc-js has options for. Everything is set, so that no default of the library's is in force. The age of
 * connections is not among them: grpc-js can exempt none.
 */
export function grpcServerOptions(limits: Safeguards): ServerOptions {
  return {
    'grpc.max_receive_message_length': limits.maxRequestBytes,
    // Answers to lists have no bound of their own: whoever may list asks for pages.
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': limits.maxStreamsPerConnection,
    'grpc-node.max_session_memory': limits.maxSessionMemoryMiB,
    'grpc.max_connection_idle_ms': limits.maxIdleMs,
    'grpc.enable_channelz': 0,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    ...(limits.keepaliveMs === undefined ? {} : { 'grpc.keepalive_time_ms': limits.keepaliveMs }),
  }
}

/** The part of the safeguards that belongs to Node's HTTP/2 and that grpc-js has no option for. */
export function http2ServerOptions(limits: Safeguards): Record<string, unknown> {
  return {
    settings: {
      enablePush: false,
      maxConcurrentStreams: limits.maxStreamsPerConnection,
      maxHeaderListSize: limits.maxHeaderBytes,
    },
    maxHeaderListPairs: limits.maxHeaders,
    maxSettings: 32,
    maxOutstandingPings: 4,
    maxSessionInvalidFrames: 32,
    maxSessionRejectedStreams: 100,
    streamResetBurst: limits.streamResetBurst,
    streamResetRate: limits.streamResetRate,
  }
}
