import { createHash } from 'node:crypto'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { agentV1 } from '@plastron/api'
import { CertificateRequest, PkiError, type PublicKey } from '@plastron/pki'
import { type Call, type Clock, DeadlineError, GrpcError, type Logger, withDeadline } from '@plastron/runtime'
import { SpiffeId, type TrustDomain, type X509Bundle } from '@plastron/spiffe'
import { type AgentRecord, type Datastore, isDatastoreError } from '../datastore/index.ts'
import type { Admission } from '../issuance/admission.ts'
import type { IssuedX509, Issuer } from '../issuance/issuer.ts'
import { claimOf, type SigningClaim } from '../issuance/signing-claim.ts'
import { type AttestedNode, NodeAttestationError, type NodeAttestor } from '../plugins/node-attestor/node-attestor.ts'
import type { Registry } from '../registration/index.ts'

/** What agents are attested with. */
export interface AgentAttestationOptions {
  readonly trustDomain: TrustDomain
  readonly datastore: Pick<Datastore, 'agents' | 'joinTokens'>
  readonly registry: Registry
  readonly issuer: Issuer
  /** Where signing waits for its turn. */
  readonly admission: Admission
  readonly nodeAttestors: ReadonlyMap<string, NodeAttestor>
  readonly clock: Clock
  readonly log: Logger
  /** Adds `spiffe_id:<the agent's ID>` to the selectors. */
  readonly agentSpiffeIdAsSelector: boolean
  readonly ownBundle: () => X509Bundle
}

/** An honest attestor needs one or two. */
const maxChallenges = 16
const attestationDeadlineMs = 30_000

type Requests = AsyncIterable<agentV1.AttestAgentRequest>
type Response = MessageInitShape<typeof agentV1.AttestAgentResponseSchema>

/**
 * `Agent/AttestAgent`: evidence in, challenges and answers, an agent's X509-SVID out. Bounded in time and in rounds, whatever
 * the peer does.
 */
export async function* attestAgent(
  options: AgentAttestationOptions,
  requests: Requests,
  call: Call,
): AsyncGenerator<Response> {
  const conversation = new Conversation(options, requests[Symbol.asyncIterator](), call)
  yield* conversation.run()
}

class Conversation {
  readonly #options: AgentAttestationOptions
  readonly #requests: AsyncIterator<agentV1.AttestAgentRequest>
  readonly #call: Call
  /** The challenge that waits to be sent, and whoever waits for its answer. */
  #outgoing = Promise.withResolvers<Uint8Array>()
  #answer: PromiseWithResolvers<Uint8Array> | undefined
  #challenges = 0

  constructor(options: AgentAttestationOptions, requests: AsyncIterator<agentV1.AttestAgentRequest>, call: Call) {
    this.#options = options
    this.#requests = requests
    this.#call = call
  }

  async *run(): AsyncGenerator<Response> {
    const { clock } = this.#options
    const first = await this.#within(this.#requests.next())
    const params = first.done === true || first.value.step.case !== 'params' ? undefined : first.value.step.value
    const { data, params: svidParams } = params ?? {}
    if (data === undefined || data.type === '' || data.payload.length === 0 || svidParams === undefined)
      throw malformed('malformed param: missing attestation data or parameters')
    if (svidParams.csr.length === 0) throw malformed('malformed param: missing CSR')
    const publicKey = await this.#inTurn(() => readRequestKey(svidParams.csr))

    const deadline = clock.monotonic() + attestationDeadlineMs
    const attested = this.#attest(data.type, data.payload, publicKey)
    // Whoever loses a race below has nobody else to look at it.
    attested.catch(() => undefined)
    for (;;) {
      const next = await this.#within(
        Promise.race([attested.then(node => ({ node })), this.#outgoing.promise.then(challenge => ({ challenge }))]),
        deadline - clock.monotonic(),
      )
      if ('node' in next) {
        yield await this.#admit(data.type, next.node, publicKey)
        return
      }
      this.#outgoing = Promise.withResolvers<Uint8Array>()
      yield { step: { case: 'challenge', value: next.challenge } }
      const reply = await this.#within(this.#requests.next(), deadline - clock.monotonic())
      if (reply.done === true || reply.value.step.case !== 'challengeResponse')
        throw malformed('expected challenge response')
      this.#answer?.resolve(reply.value.step.value)
    }
  }

  async #attest(
    type: string,
    payload: Uint8Array,
    publicKey: PublicKey,
  ): Promise<AttestedNode & { readonly joinToken?: string }> {
    const { trustDomain, nodeAttestors, clock, ownBundle } = this.#options
    if (type === 'join_token') return this.#claimToken(payload, publicKey)
    const attestor = nodeAttestors.get(type)
    if (attestor === undefined)
      throw new GrpcError(
        'FAILED_PRECONDITION',
        `error getting node attestor: could not find node attestor type ${JSON.stringify(type)}`,
      )
    const { peer } = this.#call
    try {
      return await attestor.attest(payload, {
        trustDomain,
        peerAddress: peer.kind === 'tls' ? peer.address : undefined,
        now: clock.now(),
        ownBundle,
        challenge: challenge => this.#challenge(challenge),
      })
    } catch (cause) {
      if (!(cause instanceof NodeAttestationError)) throw cause
      const code = cause.code === 'ERR_NODE_MALFORMED' ? 'INVALID_ARGUMENT' : 'PERMISSION_DENIED'
      throw new GrpcError(code, `nodeattestor(${type}): ${cause.message}`, { cause })
    }
  }

  #challenge(challenge: Uint8Array): Promise<Uint8Array> {
    this.#challenges += 1
    if (this.#challenges > maxChallenges)
      throw new NodeAttestationError('ERR_NODE_REFUSED', `more than ${maxChallenges} challenges`)
    this.#answer = Promise.withResolvers<Uint8Array>()
    this.#outgoing.resolve(challenge)
    return this.#answer.promise
  }

  /**
   * A token admits one key, once, whatever several servers and connections do at the same time. The agent's name is made of the
   * token as it is stored, not as it was sent.
   */
  async #claimToken(payload: Uint8Array, publicKey: PublicKey): Promise<AttestedNode & { readonly joinToken: string }> {
    const { trustDomain, datastore } = this.#options
    let agentId: SpiffeId
    let presented: string
    try {
      presented = new TextDecoder('utf-8', { fatal: true }).decode(payload)
      agentId = joinTokenId(trustDomain, presented)
    } catch (cause) {
      throw malformed('failed to attest: join token does not exist or has already been used', cause)
    }
    const keyDigest = createHash('sha256').update(publicKey.spki).digest()
    try {
      const token = await datastore.joinTokens.claim(presented, keyDigest, agentId.toString())
      if (token.value !== presented) agentId = joinTokenId(trustDomain, token.value)
      return { agentId, selectorValues: [], canReattest: false, joinToken: token.value }
    } catch (cause) {
      if (isDatastoreError(cause, 'ERR_DATASTORE_NOT_FOUND') || isDatastoreError(cause, 'ERR_DATASTORE_TOKEN_SPENT')) {
        throw malformed('failed to attest: join token does not exist or has already been used', cause)
      }
      if (isDatastoreError(cause, 'ERR_DATASTORE_TOKEN_EXPIRED'))
        throw malformed('failed to attest: join token expired', cause)
      throw new GrpcError('INTERNAL', 'failed to fetch join token', { cause })
    }
  }

  async #admit(
    type: string,
    node: AttestedNode & { readonly joinToken?: string },
    publicKey: PublicKey,
  ): Promise<Response> {
    const { trustDomain, datastore, registry, issuer, log, agentSpiffeIdAsSelector } = this.#options
    const id = node.agentId.toString()
    // Whatever an attestor says, an agent is none but an agent of ours (SRV-API-050).
    if (!node.agentId.trustDomain.equals(trustDomain) || !/^\/spire\/agent\/./.test(node.agentId.path))
      throw new GrpcError('INTERNAL', `failed to attest: ${JSON.stringify(id)} is no agent ID of ${trustDomain.name}`)
    if (registry.agent(id)?.serial === '') throw new GrpcError('PERMISSION_DENIED', 'failed to attest: agent is banned')
    let issued: IssuedX509
    try {
      issued = await this.#inTurn(() => issuer.agentX509(node.agentId, publicKey))
    } catch (cause) {
      if (cause instanceof GrpcError) throw cause
      throw new GrpcError('INTERNAL', 'failed to sign X509 SVID', { cause })
    }
    const selectors = new Set(node.selectorValues.map(value => `${type}:${value}`))
    if (agentSpiffeIdAsSelector) selectors.add(`spiffe_id:${id}`)
    try {
      await datastore.agents.attest({
        id,
        attestationType: type,
        serial: issued.serialNumber.toString(),
        expiresAt: Math.floor(issued.notAfter.getTime() / 1000),
        canReattest: node.canReattest,
        selectors: [...selectors],
        joinToken: node.joinToken,
      })
    } catch (cause) {
      if (isDatastoreError(cause, 'ERR_DATASTORE_AGENT_BANNED'))
        throw new GrpcError('PERMISSION_DENIED', 'failed to attest: agent is banned', { cause })
      if (isDatastoreError(cause, 'ERR_DATASTORE_TOKEN_SPENT'))
        throw malformed('failed to attest: join token does not exist or has already been used', cause)
      throw new GrpcError('INTERNAL', 'failed to update attested node', { cause })
    }
    log.info('Agent attestation request completed', { agent_id: id, node_attestor_type: type })
    return { step: { case: 'result', value: { svid: svidMessage(issued), reattestable: node.canReattest } } }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#options.admission.run(claimOf(this.#call), work)
  }

  async #within<T>(promise: Promise<T>, ms = attestationDeadlineMs): Promise<T> {
    try {
      return await withDeadline(this.#options.clock, Math.max(ms, 0), 'attestation', () => promise, this.#call.signal)
    } catch (cause) {
      if (!(cause instanceof DeadlineError)) throw cause
      throw new GrpcError('DEADLINE_EXCEEDED', `attestation took longer than ${attestationDeadlineMs / 1000} s`, {
        cause,
      })
    }
  }
}

/** `/spire/agent/join_token/<token>`: refuses tokens that are no path segment, without normalizing anything. */
function joinTokenId(trustDomain: TrustDomain, token: string): SpiffeId {
  return SpiffeId.fromSegments(trustDomain, 'spire', 'agent', 'join_token', token)
}

/**
 * `Agent/RenewAgent` after authorization: a new X509-SVID beside the one in use, until it is used for the first time.
 *
 * @param agent - as it was let in: one that was evicted meanwhile and has attested anew is not the one that asks
 */
export async function renewAgent(
  options: AgentAttestationOptions,
  agent: Pick<AgentRecord, 'id' | 'serial'>,
  csr: Uint8Array,
  claim: SigningClaim,
): Promise<IssuedX509> {
  if (csr.length === 0) throw new GrpcError('INVALID_ARGUMENT', 'missing CSR')
  const issued = await options.admission.run(claim, async () => {
    const publicKey = await readRequestKey(csr)
    try {
      return await options.issuer.agentX509(SpiffeId.parse(agent.id), publicKey)
    } catch (cause) {
      throw new GrpcError('INTERNAL', 'failed to sign X509 SVID', { cause })
    }
  })
  try {
    await options.datastore.agents.renew(
      agent.id,
      agent.serial,
      issued.serialNumber.toString(),
      Math.floor(issued.notAfter.getTime() / 1000),
    )
  } catch (cause) {
    if (NO_LONGER_ATTESTED.some(code => isDatastoreError(cause, code))) {
      throw new GrpcError('PERMISSION_DENIED', 'agent is no longer attested', { cause })
    }
    throw new GrpcError('INTERNAL', 'failed to update agent', { cause })
  }
  return issued
}

const NO_LONGER_ATTESTED = ['ERR_DATASTORE_NOT_FOUND', 'ERR_DATASTORE_AGENT_BANNED', 'ERR_DATASTORE_CONFLICT'] as const

/** The key of a signing request whose holder proved to have it. Nothing else of the request is looked at. */
export async function readRequestKey(csr: Uint8Array): Promise<PublicKey> {
  try {
    const request = CertificateRequest.parse(csr)
    if (!(await request.verifySignature())) throw new PkiError('ERR_PKI_REQUEST', 'its signature is not by its key')
    return request.publicKey
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    throw new GrpcError('INVALID_ARGUMENT', `malformed CSR: ${cause.message}`, { cause })
  }
}

/** An issued certificate as the APIs carry it. */
export function svidMessage(issued: IssuedX509) {
  const { trustDomain, path } = issued.id
  return {
    id: { trustDomain: trustDomain.name, path },
    certChain: issued.chain.map(der => Uint8Array.from(der)),
    expiresAt: BigInt(Math.floor(issued.notAfter.getTime() / 1000)),
  }
}

function malformed(message: string, cause?: unknown): GrpcError {
  return new GrpcError('INVALID_ARGUMENT', message, { cause })
}
