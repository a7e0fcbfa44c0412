import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Certificate, DerReader, isJsonObject, PrivateKey, parseJsonObjectStrict, Tag } from '@plastron/pki'
import { AgentError, reasonOf } from '../../agent-error.ts'
import type { AttestationExchange, NodeAttestor } from './node-attestor.ts'

const NONCE_BYTES = 32

/** Files that the node proves itself with. All are PEM. */
export interface X509PopOptions {
  readonly privateKeyPath: string
  /** The certificate, or the certificate and its intermediates. */
  readonly certificatePath: string
  readonly intermediatesPath?: string | undefined
}

/** Proves that the node holds the key of a certificate that the server trusts (AGT-NA-025, AGT-NA-026, AGT-NA-028). */
export class X509PopAttestor implements NodeAttestor {
  readonly name = 'x509pop'
  readonly #options: X509PopOptions

  constructor(options: X509PopOptions) {
    this.#options = options
  }

  /** Reads the files anew, so that a renewed certificate is used. */
  async begin(): Promise<AttestationExchange> {
    const { privateKeyPath, certificatePath, intermediatesPath } = this.#options
    const key = await readPem(privateKeyPath, 'private_key_path', text => PrivateKey.fromPem(text))
    const certificates = await readPem(certificatePath, 'certificate_path', text => Certificate.parsePem(text))
    const intermediates =
      intermediatesPath === undefined
        ? []
        : await readPem(intermediatesPath, 'intermediates_path', text => Certificate.parsePem(text))
    const [leaf] = certificates
    if (leaf === undefined) {
      throw new AgentError('ERR_AGENT_NODE_ATTESTATION', `certificate_path ${certificatePath} holds no certificate`)
    }
    if (!leaf.publicKey.equals(key.publicKey)) {
      throw new AgentError(
        'ERR_AGENT_NODE_ATTESTATION',
        `the key in ${privateKeyPath} does not belong to the certificate in ${certificatePath}`,
      )
    }
    const chain = [...certificates, ...intermediates].map(certificate =>
      Buffer.from(certificate.der).toString('base64'),
    )
    return {
      type: this.name,
      payload: Buffer.from(JSON.stringify({ certificates: chain })),
      answer: async challenge => Buffer.from(JSON.stringify(await answerChallenge(key, challenge))),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Signs SHA-256 of the server's nonce and an own one. The signer hashes once more, which is why what it gets is the two nonces. */
async function answerChallenge(key: PrivateKey, challenge: Uint8Array): Promise<object> {
  const isRsa = key.publicKey.kind === 'rsa'
  const member = isRsa ? 'rsa_signature' : 'ecdsa_signature'
  const theirs = nonceOf(challenge, member)
  const nonce = randomBytes(NONCE_BYTES)
  const both = Buffer.concat([theirs, nonce])
  if (isRsa) {
    const signature = Buffer.from(await key.sign('rsa-pss-sha256', both)).toString('base64')
    return { rsa_signature: { nonce: nonce.toString('base64'), signature } }
  }
  if (!key.publicKey.kind.startsWith('ec-')) {
    throw new AgentError('ERR_AGENT_NODE_ATTESTATION', `x509pop takes RSA and EC keys, not ${key.publicKey.kind}`)
  }
  const [r, s] = integersOf(await key.sign('ecdsa-sha256', both))
  return { ecdsa_signature: { nonce: nonce.toString('base64'), r, s } }
}

function nonceOf(challenge: Uint8Array, member: string): Buffer {
  let nonce: unknown
  try {
    const part = parseJsonObjectStrict(challenge, { maxBytes: 65_536 })[member]
    nonce = isJsonObject(part) ? part.nonce : undefined
  } catch (cause) {
    throw new AgentError('ERR_AGENT_NODE_ATTESTATION', `the server's challenge cannot be read: ${reasonOf(cause)}`, {
      cause,
    })
  }
  if (typeof nonce !== 'string') {
    throw new AgentError(
      'ERR_AGENT_NODE_ATTESTATION',
      `the server's challenge has no ${member}, which this key answers`,
    )
  }
  const bytes = Buffer.from(nonce, 'base64')
  if (bytes.length !== NONCE_BYTES) {
    throw new AgentError(
      'ERR_AGENT_NODE_ATTESTATION',
      `the server's nonce has ${bytes.length} bytes, not ${NONCE_BYTES}`,
    )
  }
  return bytes
}

/** The two integers of an ECDSA signature, big-endian without sign octet, in base64. */
function integersOf(signature: Uint8Array): [r: string, s: string] {
  const sequence = DerReader.single(signature, Tag.sequence, 'signature').reader()
  const integer = () => {
    const bytes = Buffer.from(sequence.expect(Tag.integer, 'signature').content)
    return (bytes[0] === 0 ? bytes.subarray(1) : bytes).toString('base64')
  }
  return [integer(), integer()]
}

async function readPem<T>(path: string, key: string, parse: (text: string) => T): Promise<T> {
  try {
    return parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new AgentError('ERR_AGENT_NODE_ATTESTATION', `${key} ${path} cannot be used: ${reasonOf(cause)}`, { cause })
  }
}
