/** Every code of a {@link ListenerError}. */
export type ListenerErrorCode =
  | 'ERR_LISTEN_ADDRESS'
  | 'ERR_LISTEN_IN_USE'
  | 'ERR_LISTEN_NO_LOCK'
  | 'ERR_LISTEN_PATH'
  | 'ERR_LISTEN_PLATFORM'
  | 'ERR_PEER_CREDENTIALS'
  | 'ERR_PEER_TLS'
  | 'ERR_PROXY_HEADER'
  | 'ERR_SOCKET_FOLDER'

/** A listener could not start, or a connection was refused before it reached a server. */
export class ListenerError extends Error {
  override readonly name = 'ListenerError'
  /** Which rule a connection broke, or what kept the listener from starting. */
  readonly code: ListenerErrorCode

  /** @param message - one sentence with address or path; never bytes that a peer sent. */
  constructor(code: ListenerErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
