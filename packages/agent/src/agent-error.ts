/**
 * Why the agent refused or failed. Codes are stable; a retired one is never used again.
 *
 * - `ERR_AGENT_STORAGE`: the data folder cannot be used, or holds a file of a newer program.
 * - `ERR_AGENT_KEY_ID`, `ERR_AGENT_KEY_TYPE`, `ERR_AGENT_KEY_NOT_FOUND`: a key manager was asked for what it cannot give.
 * - `ERR_AGENT_BOOTSTRAP`: there is no trustworthy bundle to meet the server with.
 * - `ERR_AGENT_JOIN_TOKEN`: no join token, or one that cannot be read.
 * - `ERR_AGENT_NODE_ATTESTATION`: the server refused the node, or answered what it must not.
 * - `ERR_AGENT_REMOVED`: the server evicted or banned this agent.
 * - `ERR_AGENT_SERVER_REPLY`: a reply of the server breaks a rule.
 * - `ERR_AGENT_SERVER_UNTRUSTED`: what answers at the server's address is not the server of the trust domain.
 * - `ERR_AGENT_WORKLOAD_ATTESTATION`: who calls could not be found out.
 * - `ERR_AGENT_CALLER_GONE`: the process that called no longer exists, or is another one now.
 * - `ERR_AGENT_NO_DOCUMENT`: a document that the caller is entitled to could not be obtained.
 * - `ERR_AGENT_SOCKET`: a socket cannot be opened.
 * - `ERR_AGENT_CONFIG`: settings contradict each other.
 */
export type AgentErrorCode =
  | 'ERR_AGENT_STORAGE'
  | 'ERR_AGENT_KEY_ID'
  | 'ERR_AGENT_KEY_TYPE'
  | 'ERR_AGENT_KEY_NOT_FOUND'
  | 'ERR_AGENT_BOOTSTRAP'
  | 'ERR_AGENT_JOIN_TOKEN'
  | 'ERR_AGENT_NODE_ATTESTATION'
  | 'ERR_AGENT_REMOVED'
  | 'ERR_AGENT_SERVER_REPLY'
  | 'ERR_AGENT_SERVER_UNTRUSTED'
  | 'ERR_AGENT_WORKLOAD_ATTESTATION'
  | 'ERR_AGENT_CALLER_GONE'
  | 'ERR_AGENT_NO_DOCUMENT'
  | 'ERR_AGENT_SOCKET'
  | 'ERR_AGENT_CONFIG'

/** The error of this package. `code` is for programs; `message` names rule, value and place, never a key or a token. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  /** Which rule was broken; never renamed. */
  readonly code: AgentErrorCode

  /** @param message - rule, value and place; never a key or a token. */
  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** True for an {@link AgentError}, and when codes are given, for one with any of them. */
export function isAgentError(error: unknown, ...codes: AgentErrorCode[]): error is AgentError {
  return error instanceof AgentError && (codes.length === 0 || codes.includes(error.code))
}

/** The message of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
