import { hash } from 'node:crypto'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { agentV1 } from '@plastron/api'
import type { Call } from '@plastron/runtime'
import { audit } from './audit.ts'

type Requests = AsyncIterable<agentV1.AttestAgentRequest>
type Response = MessageInitShape<typeof agentV1.AttestAgentResponseSchema>

/** Runs an attestation and adds to its audit record what kind it was and which agent came of it; never its evidence. */
export async function* auditedAttestation(
  call: Call,
  requests: Requests,
  run: (requests: Requests) => AsyncIterable<Response>,
): AsyncGenerator<Response> {
  async function* noted(): AsyncGenerator<agentV1.AttestAgentRequest> {
    for await (const request of requests) {
      const { step } = request
      if (step.case === 'params') audit(call, () => ({ node_attestor_type: step.value.data?.type }))
      yield request
    }
  }
  for await (const response of run(noted())) {
    const { step } = response
    if (step?.case === 'result') {
      const id = step.value.svid?.id
      audit(call, () => ({ agent_id: id && `spiffe://${id.trustDomain}${id.path}` }))
    }
    yield response
  }
}

/** Adds to the audit record of a renewal which request it was, as a digest. */
export function auditRenewal(call: Call, csr: Uint8Array): void {
  audit(call, () => ({ csr: csr.length === 0 ? undefined : hash('sha256', csr, 'hex') }))
}
