import type { SpiffeId, TrustDomain, X509Bundle } from '@plastron/spiffe'

/** What a node attestor found out about a node. */
export interface AttestedNode {
  readonly agentId: SpiffeId
  /** Values of selectors; their type is the attestor's name. */
  readonly selectorValues: readonly string[]
  /** Whether the same node may attest again at any time. */
  readonly canReattest: boolean
}

/** What an attestor may know and ask while it attests one node. */
export interface AttestationContext {
  readonly trustDomain: TrustDomain
  /** IP address of the caller; absent where there is none. */
  readonly peerAddress: string | undefined
  readonly now: Date
  /** The trust domain's own authorities. */
  ownBundle(): X509Bundle
  /** Sends a challenge and resolves with the node's answer. @throws when the caller goes, or the rounds are used up */
  challenge(challenge: Uint8Array): Promise<Uint8Array>
}

/**
 * Turns the evidence of a node into its identity.
 *
 * Work before the evidence is verified is bounded. Nothing is taken from bytes that were not verified. Safe for concurrent
 * calls.
 */
export interface NodeAttestor {
  /** The attestation type that agents name. */
  readonly name: string
  /** @throws {@link NodeAttestationError} for evidence that does not hold; its message goes to the agent. */
  attest(payload: Uint8Array, context: AttestationContext): Promise<AttestedNode>
}

/** The evidence of a node was refused. The message names the rule and holds no evidence. */
export class NodeAttestationError extends Error {
  override readonly name = 'NodeAttestationError'
  /** `ERR_NODE_MALFORMED`: it cannot be read. `ERR_NODE_REFUSED`: it does not prove what it claims. */
  readonly code: 'ERR_NODE_MALFORMED' | 'ERR_NODE_REFUSED'

  constructor(code: NodeAttestationError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
