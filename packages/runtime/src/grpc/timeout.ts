import { GrpcError } from './grpc-error.ts'

/** Longest timeout that a timer can be set for. A caller with a longer one, which is weeks, gets none. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1
const UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 }

/**
 * The deadline that a `grpc-timeout` sets (gRPC over HTTP/2, "Timeout"), as wall time in milliseconds; infinite for none.
 *
 * @throws {GrpcError} `INTERNAL` for a header that is no timeout
 */
export function deadlineOf(header: string | string[] | undefined, nowMs: number): number {
  if (header === undefined) return Number.POSITIVE_INFINITY
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(String(header)) ?? []
  if (digits === undefined || unit === undefined)
    throw new GrpcError('INTERNAL', `grpc-timeout ${JSON.stringify(String(header).slice(0, 40))} is no timeout`)
  const timeoutMs = Number(digits) * (UNITS_MS[unit] ?? 0)
  return timeoutMs > MAX_TIMEOUT_MS ? Number.POSITIVE_INFINITY : nowMs + timeoutMs
}
