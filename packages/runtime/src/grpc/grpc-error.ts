import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt'
import type { StatusObject } from '@grpc/grpc-js'
import { rpc } from '@plastron/api'
import { type GrpcCode, grpcCodeName, grpcCodes } from './status-code.ts'

/** Where gRPC carries a serialized google.rpc.Status. */
const DETAILS_KEY = 'grpc-status-details-bin'

/**
 * How a call ends that does not succeed: thrown by handlers to say so to the caller, and by clients when a server said so. The message crosses
 * the wire: it names the rule and the value, never a secret. The cause does not; it is for the log.
 */
export class GrpcError extends Error {
  override readonly name = 'GrpcError'
  /** The status that the caller gets. */
  readonly code: GrpcCode
  /** Typed details, as google.rpc.Status carries them. Pack with `anyPack` of @bufbuild/protobuf/wkt. */
  readonly details: readonly Any[]

  /** @param message - what the caller gets to read: no secrets and nothing about the inside. */
  constructor(
    code: GrpcCode,
    message: string,
    options: { details?: readonly Any[] | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? []
  }

  /** The code's number on the wire. */
  get number(): number {
    return grpcCodes[this.code]
  }

  /** The first detail of this type, if there is one that can be read. */
  detail<Desc extends DescMessage>(schema: Desc): MessageShape<Desc> | undefined {
    for (const any of this.details) {
      try {
        const message = anyUnpack(any, schema)
        if (message) return message
      } catch {
        // A detail that cannot be read is as good as none.
      }
    }
    return undefined
  }
}

/** What is said to a caller about an error that nobody foresaw: nothing about it. */
export const INTERNAL_MESSAGE = 'internal error'

/** Characters of a message that travel: it is part of the trailers, of which some clients take no more than 64 KiB before they give up the connection. */
const MAX_MESSAGE_CHARACTERS = 2000

/** A status on its way to a caller. */
export interface StatusToSend {
  readonly code: number
  /** The message, well-formed Unicode. */
  readonly details: string
  /** A serialized google.rpc.Status, where there are typed details. */
  readonly statusDetails?: Uint8Array | undefined
}

/**
 * The status that a handler's error is sent as. Only a {@link GrpcError} speaks for itself; everything else is `INTERNAL` without a word about
 * what happened, since its text was not written for strangers.
 */
export function toStatus(error: unknown): StatusToSend {
  if (!(error instanceof GrpcError)) return { code: grpcCodes.INTERNAL, details: INTERNAL_MESSAGE }
  // Percent-encoding throws on half of a surrogate pair.
  const message = shortened(error.message).toWellFormed()
  if (error.details.length === 0) return { code: error.number, details: message }
  const status = create(rpc.StatusSchema, { code: error.number, message, details: [...error.details] })
  return { code: error.number, details: message, statusDetails: toBinary(rpc.StatusSchema, status) }
}

function shortened(message: string): string {
  return message.length <= MAX_MESSAGE_CHARACTERS ? message : `${message.slice(0, MAX_MESSAGE_CHARACTERS - 1)}…`
}

/** The error that a client's call ends with, from the status that arrived. */
export function fromStatus(status: Pick<StatusObject, 'code' | 'details' | 'metadata'>, cause?: unknown): GrpcError {
  const [bytes] = status.metadata?.get(DETAILS_KEY) ?? []
  let details: readonly Any[] = []
  if (bytes instanceof Uint8Array) {
    try {
      details = fromBinary(rpc.StatusSchema, bytes).details
    } catch {
      // The status stands without its details.
    }
  }
  return new GrpcError(grpcCodeName(status.code), status.details, { details, cause })
}
