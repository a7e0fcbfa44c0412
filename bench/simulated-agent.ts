import { createSecureContext } from 'node:tls'
import { fromBinary } from '@bufbuild/protobuf'
import { agentV1 } from '@plastron/api'
import { createCertificateRequest, PrivateKey, pemEncode } from '@plastron/pki'
import { connectServer } from './connect.ts'
import type { GrpcConnection } from './grpc-connection.ts'
import { call, encode, pathOf } from './rpc.ts'
import type { Target } from './target.ts'

/** An agent's key, prepared before anything is measured. */
export interface AgentKey {
  readonly privateKeyPem: string
  readonly csr: Uint8Array
}

/** The part of an agent that a server notices. */
export interface SimulatedAgent {
  /** The path of its SPIFFE ID. */
  readonly path: string
  /** Makes a connection with its certificate. */
  connect(): Promise<GrpcConnection>
  /** The same agent with another key and certificate. */
  renewed(key: AgentKey, chain: readonly Uint8Array[]): SimulatedAgent
}

export async function agentKey(): Promise<AgentKey> {
  const key = await PrivateKey.generate('ec-p256')
  return { privateKeyPem: key.toPem(), csr: await createCertificateRequest({ signer: key }) }
}

/** Makes a join token over the admin socket and spends it over TLS, as a new agent does. */
export async function attest(admin: GrpcConnection, target: Target, key: AgentKey): Promise<SimulatedAgent> {
  const token = await call(admin, agentV1.Agent.method.createJoinToken, { ttl: 3600 })
  using connection = await connectServer(target)
  const { attestAgent } = agentV1.Agent.method
  const data = { type: 'join_token', payload: Buffer.from(token.value) }
  const request = encode(attestAgent.input, { step: { case: 'params', value: { data, params: { csr: key.csr } } } })
  const answer = await new Promise<Buffer>((resolve, reject) => {
    const held = connection.hold(pathOf(attestAgent), request, resolve, { keepOpen: true })
    void held.ended.then(() => reject(new Error('the attestation was refused')))
  })
  const { step } = fromBinary(attestAgent.output, Buffer.from(answer))
  const svid = step.case === 'result' ? step.value.svid : undefined
  if (svid?.id === undefined) throw new Error('a join token has no challenge')
  return withCertificate(target, svid.id.path, key, svid.certChain)
}

function withCertificate(
  target: Target,
  path: string,
  { privateKeyPem: key }: AgentKey,
  chain: readonly Uint8Array[],
): SimulatedAgent {
  const cert = pemEncode('CERTIFICATE', ...chain)
  return {
    path,
    // A context made for each connection is gone with it: thousands of agents must fit into the generator.
    connect: () => connectServer(target, createSecureContext({ cert, key })),
    renewed: (newKey, newChain) => withCertificate(target, path, newKey, newChain),
  }
}
