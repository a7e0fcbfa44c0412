/** Status codes of gRPC by name. */
export const GrpcStatus = Object.freeze({
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
})

/** A status code of gRPC. */
export type GrpcStatusCode = (typeof GrpcStatus)[keyof typeof GrpcStatus]

const NAMES = new Map<number, keyof typeof GrpcStatus>(
  Object.entries(GrpcStatus).map(([name, code]) => [code, name as keyof typeof GrpcStatus]),
)

/** The name of a status code, for messages. */
export function grpcStatusName(code: GrpcStatusCode): string {
  return NAMES.get(code) ?? String(code)
}

/** Reads the `grpc-status` of a response. What is not a known code counts as UNKNOWN. */
export function parseGrpcStatus(text: string): GrpcStatusCode {
  const code = /^\d{1,2}$/.test(text) ? Number(text) : -1
  return NAMES.has(code) ? (code as GrpcStatusCode) : GrpcStatus.UNKNOWN
}

/** The status that a response without gRPC status has by its HTTP status. gRPC's "HTTP to gRPC Status Code Mapping". */
export function statusOfHttp(status: number): GrpcStatusCode {
  switch (status) {
    case 400:
      return GrpcStatus.INTERNAL
    case 401:
      return GrpcStatus.UNAUTHENTICATED
    case 403:
      return GrpcStatus.PERMISSION_DENIED
    case 404:
      return GrpcStatus.UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.UNAVAILABLE
    default:
      return GrpcStatus.UNKNOWN
  }
}

/** The status of a stream that was reset. gRPC over HTTP/2, "Errors". */
export function statusOfReset(code: number): GrpcStatusCode {
  switch (code) {
    case 0x7: // REFUSED_STREAM
      return GrpcStatus.UNAVAILABLE
    case 0x8: // CANCEL
      return GrpcStatus.CANCELLED
    case 0xb: // ENHANCE_YOUR_CALM
      return GrpcStatus.RESOURCE_EXHAUSTED
    case 0xc: // INADEQUATE_SECURITY
      return GrpcStatus.PERMISSION_DENIED
    default:
      return GrpcStatus.INTERNAL
  }
}

/** Reads a `grpc-message`: percent-encoded UTF-8. Bad escapes stay as they are; control characters and length are bounded. */
export function decodeGrpcMessage(text: string): string {
  const cut = text.slice(0, 1024)
  let message = cut
  try {
    message = decodeURIComponent(cut)
  } catch {
    // Keep the encoded text: gRPC asks that a bad encoding does not hide the message.
  }
  // One line, without escape sequences: the text is a peer's and ends up in logs.
  return message.replaceAll(/\p{Cc}|\u2028|\u2029/gu, ' ')
}

/** Writes a `grpc-message`. */
export function encodeGrpcMessage(message: string): string {
  return encodeURIComponent(message).replaceAll('%20', ' ')
}
