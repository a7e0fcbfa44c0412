/** The status codes of gRPC, by the names of its specification. */
export const grpcCodes = {
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
} as const

/** The name of a status code. */
export type GrpcCode = keyof typeof grpcCodes

const names = Object.fromEntries(Object.entries(grpcCodes).map(([name, number]) => [number, name])) as Record<
  number,
  GrpcCode
>

/** The name of a status number; `UNKNOWN` for a number that gRPC does not define. */
export function grpcCodeName(number: number): GrpcCode {
  return names[number] ?? 'UNKNOWN'
}

/** A code as Go's libraries and SPIRE's messages spell it: `PERMISSION_DENIED` is `PermissionDenied`. */
export function grpcCodeInGo(code: GrpcCode): string {
  if (code === 'OK') return code
  if (code === 'CANCELLED') return 'Canceled'
  return code.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
