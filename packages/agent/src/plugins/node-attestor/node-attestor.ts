/** The agent's side of one attestation: what goes to the server and what it asks back. */
export interface AttestationExchange {
  /** The attestation type's name, as the server knows it. */
  readonly type: string
  /** The first thing the server gets. Never empty. */
  readonly payload: Uint8Array
  /** Answers a challenge. @throws if the server may not ask this */
  answer(challenge: Uint8Array): Promise<Uint8Array>
}

/** Proves to the server which node this is. */
export interface NodeAttestor extends AsyncDisposable {
  /** The plugin's name in the configuration, and the type that the server knows. */
  readonly name: string
  /** Begins a new attestation. @throws {@link AgentError} if the node has nothing to prove itself with */
  begin(signal: AbortSignal): Promise<AttestationExchange>
}
