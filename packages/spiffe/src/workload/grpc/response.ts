import { WorkloadApiError } from '../workload-api-error.ts'
import { decodeGrpcMessage, GrpcStatus, type GrpcStatusCode, parseGrpcStatus, statusOfHttp } from './status.ts'

/** Headers or trailers by name. */
export type HeaderValues = Readonly<Record<string, string | readonly string[] | number | undefined>>

/** Headers and trailers of a gRPC answer, as they are taken from its stream. */
export class ResponseHead {
  #headers: HeaderValues | undefined
  #trailers: HeaderValues | undefined

  /** The headers of the answer came, `:status` among them. */
  takeHeaders(headers: HeaderValues): void {
    this.#headers = headers
  }

  /** The trailers came. */
  takeTrailers(trailers: HeaderValues): void {
    this.#trailers = trailers
  }

  /** True when the headers of an answer came. */
  get began(): boolean {
    return this.#headers !== undefined
  }

  /** True when the server sent a gRPC status, in trailers or, for an answer of nothing else, in its headers. */
  get saidStatus(): boolean {
    return this.#statusText() !== undefined
  }

  /** The gRPC status and its message; undefined when the server sent none. */
  status(): { readonly code: GrpcStatusCode; readonly message: string } | undefined {
    const text = this.#statusText()
    if (text === undefined) return undefined
    const message = this.#trailers?.['grpc-message'] ?? this.#headers?.['grpc-message']
    return { code: parseGrpcStatus(text), message: decodeGrpcMessage(String(message ?? '')) }
  }

  /**
   * Checks that the body consists of gRPC messages that this client reads.
   *
   * @throws {@link WorkloadApiError} `ERR_WORKLOAD_TRANSPORT`
   */
  mustCarryMessages(): void {
    const headers = this.#headers
    if (headers === undefined) throw fault(GrpcStatus.INTERNAL, 'data came before the headers of the answer')
    const status = Number(headers[':status'] ?? 0)
    if (status !== 200) throw fault(statusOfHttp(status), `HTTP status ${status} instead of 200`)
    const type = String(headers['content-type'] ?? '')
    if (!/^application\/grpc(?:[+;]|$)/.test(type)) {
      throw fault(GrpcStatus.UNKNOWN, `content type ${JSON.stringify(type.slice(0, 100))} is not gRPC`)
    }
    const encoding = headers['grpc-encoding']
    if (encoding !== undefined && encoding !== 'identity') {
      throw fault(GrpcStatus.INTERNAL, 'answer is compressed, which was not offered')
    }
  }

  #statusText(): string | undefined {
    const text = this.#trailers?.['grpc-status'] ?? this.#headers?.['grpc-status']
    return text === undefined ? undefined : String(text)
  }
}

/** How a finished call went: undefined for success. */
export function outcomeOf(head: ResponseHead): WorkloadApiError | undefined {
  const status = head.status()
  if (status === undefined) {
    if (!head.began) return fault(GrpcStatus.UNAVAILABLE, 'stream ended without an answer')
    try {
      head.mustCarryMessages()
    } catch (error) {
      return error as WorkloadApiError
    }
    return fault(GrpcStatus.UNKNOWN, 'stream ended without a status')
  }
  if (status.code === GrpcStatus.OK) return undefined
  return new WorkloadApiError('ERR_WORKLOAD_STATUS', status.code, status.message)
}

function fault(status: GrpcStatusCode, message: string): WorkloadApiError {
  return new WorkloadApiError('ERR_WORKLOAD_TRANSPORT', status, message)
}
