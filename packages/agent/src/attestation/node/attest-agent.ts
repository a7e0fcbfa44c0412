import type { MessageInitShape } from '@bufbuild/protobuf'
import type { agentV1, types } from '@plastron/api'
import { Certificate, createCertificateRequest, type PrivateKey } from '@plastron/pki'
import type { ServiceClient } from '@plastron/runtime'
import { checkLeaf, type SpiffeId, type TrustDomain } from '@plastron/spiffe'
import { AgentError, reasonOf } from '../../agent-error.ts'
import type { AttestationExchange } from '../../plugins/node-attestor/node-attestor.ts'
import { RequestQueue } from '../../upstream/request-queue.ts'

/** Time for the whole exchange, challenges included. */
const TIMEOUT_MS = 60_000
/** No attestation needs more rounds. */
const MAX_CHALLENGES = 16

/** The agent's own certificate, as the server just gave it. */
export interface AgentCertificate {
  readonly id: SpiffeId
  /** Leaf first, without the root. */
  readonly chain: readonly [leaf: Certificate, ...rest: Certificate[]]
}

/** A certification request of the agent: only its key counts (AGT-BOOT-011). */
export function agentRequest(key: PrivateKey): Promise<Uint8Array> {
  return createCertificateRequest({ signer: key })
}

/**
 * Proves to the server which node this is and returns the agent's certificate for `key`.
 *
 * @throws {GrpcError} of the call
 * @throws {@link AgentError} `ERR_AGENT_NODE_ATTESTATION`, `ERR_AGENT_SERVER_REPLY`
 */
export async function attestAgent(
  client: ServiceClient<typeof agentV1.Agent>,
  exchange: AttestationExchange,
  key: PrivateKey,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<AgentCertificate & { readonly reattestable: boolean }> {
  if (exchange.payload.length === 0) {
    throw new AgentError('ERR_AGENT_NODE_ATTESTATION', `the node attestor "${exchange.type}" gave an empty payload`)
  }
  const requests = new RequestQueue<MessageInitShape<typeof agentV1.AttestAgentRequestSchema>>()
  const data = { type: exchange.type, payload: exchange.payload }
  const csr = await agentRequest(key)
  requests.push({ step: { case: 'params', value: { data, params: { csr } } } })
  let challenges = 0
  try {
    for await (const { step } of client.attestAgent(requests, { signal, timeoutMs: TIMEOUT_MS })) {
      if (step.case === 'result') {
        return { ...certificateOf(step.value.svid, key, trustDomain), reattestable: step.value.reattestable }
      }
      challenges += 1
      if (step.case !== 'challenge' || challenges > MAX_CHALLENGES) {
        throw new AgentError(
          'ERR_AGENT_SERVER_REPLY',
          `the server's attestation has no end after ${challenges} answers`,
        )
      }
      const answer = await exchange.answer(step.value)
      if (answer.length === 0) {
        throw new AgentError('ERR_AGENT_NODE_ATTESTATION', `the node attestor "${exchange.type}" gave an empty answer`)
      }
      requests.push({ step: { case: 'challengeResponse', value: answer } })
    }
  } finally {
    requests.end()
  }
  throw new AgentError('ERR_AGENT_SERVER_REPLY', 'the server ended the attestation without a result')
}

/** Reads the agent's certificate of a reply. @throws {@link AgentError} `ERR_AGENT_SERVER_REPLY` */
export function certificateOf(
  svid: types.X509SVID | undefined,
  key: PrivateKey,
  trustDomain: TrustDomain,
): AgentCertificate {
  try {
    return checkAgentChain(
      (svid?.certChain ?? []).map(der => Certificate.parse(der)),
      key,
      trustDomain,
    )
  } catch (cause) {
    throw new AgentError(
      'ERR_AGENT_SERVER_REPLY',
      `the agent certificate of the server cannot be used: ${reasonOf(cause)}`,
      {
        cause,
      },
    )
  }
}

/**
 * Checks the form of an agent's certificate: a leaf for this key whose ID is an agent's in this trust domain. Whether it is to be trusted is
 * for the bundle to say.
 */
export function checkAgentChain(
  chain: readonly Certificate[],
  key: PrivateKey,
  trustDomain: TrustDomain,
): AgentCertificate {
  const [leaf, ...rest] = chain
  if (leaf === undefined) throw new Error('it has no certificate')
  const id = checkLeaf(leaf)
  if (!id.memberOf(trustDomain)) throw new Error(`it is for ${id}, which is not in ${trustDomain}`)
  if (!id.path.startsWith('/spire/agent/')) throw new Error(`it is for ${id}, which is not an agent`)
  if (!leaf.publicKey.equals(key.publicKey)) throw new Error('it is not for the key of this agent')
  return { id, chain: [leaf, ...rest] }
}
