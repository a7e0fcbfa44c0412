import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { Certificate, PkiError, parseJsonObjectStrict, validatePath } from '@plastron/pki'
import { checkLeaf, SpiffeError, SpiffeId } from '@plastron/spiffe'
import type { ServerX509popConfig } from '../../config/server-config.ts'
import { type AttestationContext, type AttestedNode, NodeAttestationError, type NodeAttestor } from './node-attestor.ts'
import { challengePossession, checkPossession, fingerprint } from './possession.ts'

const maxPayloadBytes = 256 * 1024

/**
 * Attests nodes that hold the key of a certificate: one of an outside PKI (mode `external_pki`), or an X509-SVID of the trust
 * domain itself (mode `spiffe`).
 *
 * The number of intermediates and the size of RSA keys are checked before anything is verified: both are the peer's choice and
 * our work.
 */
export class X509popAttestor implements NodeAttestor {
  readonly name = 'x509pop'
  readonly #config: ServerX509popConfig
  readonly #anchors: readonly Certificate[]

  private constructor(config: ServerX509popConfig, anchors: readonly Certificate[]) {
    this.#config = config
    this.#anchors = anchors
  }

  /** Reads the CA bundles of the configuration. @throws Error naming the file that cannot be used */
  static async open(config: ServerX509popConfig): Promise<X509popAttestor> {
    const anchors: Certificate[] = []
    for (const path of config.caBundlePaths) {
      try {
        anchors.push(...Certificate.parsePem(await readFile(path, 'utf8')))
      } catch (cause) {
        throw new Error(
          `unable to load trust bundle ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause },
        )
      }
    }
    return new X509popAttestor(config, anchors)
  }

  async attest(payload: Uint8Array, context: AttestationContext): Promise<AttestedNode> {
    const [leaf, ...intermediates] = this.#readCertificates(payload)
    if (leaf === undefined) throw malformed('no certificate to attest')
    this.#checkSizes(leaf, intermediates)
    if (leaf.keyUsage?.has('digitalSignature') !== true)
      throw refused('certificate not intended for digital signature use')
    const path = await this.#verify(leaf, intermediates, context)
    this.#checkAddress(leaf, context)
    const challenge = challengePossession(leaf.publicKey)
    await checkPossession(leaf.publicKey, challenge, await context.challenge(challenge.message))
    return {
      agentId: this.#agentId(leaf, context),
      selectorValues: selectorValues(leaf, path.slice(1), context.trustDomain.name),
      canReattest: true,
    }
  }

  #readCertificates(payload: Uint8Array): Certificate[] {
    const most = this.#config.maxIntermediates + 1
    try {
      const list = parseJsonObjectStrict(payload, { maxBytes: maxPayloadBytes }).certificates
      if (!Array.isArray(list)) throw new Error('certificates is no list')
      if (list.length > most) throw refused(`too many certificates: ${list.length}, at most ${most} are allowed`)
      return list.map(text => {
        if (typeof text !== 'string') throw new Error('a certificate is not text')
        return Certificate.parse(Buffer.from(text, 'base64'))
      })
    } catch (cause) {
      if (cause instanceof NodeAttestationError) throw cause
      throw malformed(
        `unable to read attestation data: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      )
    }
  }

  #checkSizes(leaf: Certificate, intermediates: readonly Certificate[]): void {
    for (const certificate of [leaf, ...intermediates]) {
      let key: Certificate['publicKey']
      try {
        key = certificate.publicKey
      } catch (cause) {
        throw refused(
          `a certificate has a key that is not accepted: ${cause instanceof Error ? cause.message : String(cause)}`,
          cause,
        )
      }
      if (key.kind === 'rsa' && key.bits > this.#config.maxRsaKeySize) {
        throw refused(`RSA key of ${key.bits} bits is larger than the allowed ${this.#config.maxRsaKeySize}`)
      }
    }
  }

  async #verify(
    leaf: Certificate,
    intermediates: readonly Certificate[],
    context: AttestationContext,
  ): Promise<readonly Certificate[]> {
    const anchors = this.#config.mode === 'spiffe' ? context.ownBundle().x509Authorities : this.#anchors
    try {
      return await validatePath({ chain: [leaf, ...intermediates], anchors, now: context.now, profile: 'spiffe' })
    } catch (cause) {
      if (!(cause instanceof PkiError)) throw cause
      throw refused(`certificate verification failed: ${cause.message}`, cause)
    }
  }

  #checkAddress(leaf: Certificate, { peerAddress }: AttestationContext): void {
    if (!this.#config.verifyClientIp) return
    const bytes = peerAddress === undefined ? undefined : addressBytes(peerAddress)
    const isNamed = bytes !== undefined && leaf.ips.some(ip => Buffer.compare(ip, bytes) === 0)
    if (!isNamed)
      throw refused(`client address ${peerAddress ?? 'unknown'} is not among the certificate's IP addresses`)
  }

  #agentId(leaf: Certificate, { trustDomain }: AttestationContext): SpiffeId {
    if (this.#config.mode !== 'spiffe')
      return SpiffeId.fromSegments(trustDomain, 'spire', 'agent', 'x509pop', fingerprint(leaf.der))
    let id: SpiffeId
    try {
      id = checkLeaf(leaf)
    } catch (cause) {
      if (!(cause instanceof SpiffeError)) throw cause
      throw refused(`valid SVID x509 certificate not found: ${cause.message}`, cause)
    }
    if (!id.trustDomain.equals(trustDomain))
      throw refused(`the SVID is of trust domain ${id.trustDomain.name}, not ${trustDomain.name}`)
    const { spiffePrefix } = this.#config
    if (!id.path.startsWith(spiffePrefix) || id.path.length === spiffePrefix.length)
      throw refused(`the SVID's path does not begin with ${spiffePrefix}`)
    try {
      const rest = id.path.slice(spiffePrefix.length).split('/')
      return SpiffeId.fromSegments(trustDomain, 'spire', 'agent', 'x509pop', ...rest)
    } catch (cause) {
      if (!(cause instanceof SpiffeError)) throw cause
      throw refused(`the SVID's path makes no agent ID: ${cause.message}`, cause)
    }
  }
}

/** Selectors of a verified certificate: its common name, who issued it, its serial number, and what its URIs add. */
function selectorValues(leaf: Certificate, issuers: readonly Certificate[], trustDomain: string): string[] {
  const values: string[] = []
  const [commonName] = leaf.subject.values('CN')
  if (commonName !== undefined && commonName !== '') values.push(`subject:cn:${commonName}`)
  for (const issuer of new Set(issuers.map(({ der }) => fingerprint(der)))) values.push(`ca:fingerprint:${issuer}`)
  values.push(`serialnumber:${evenHex(leaf.serialNumber)}`)
  const prefix = `x509pop://${trustDomain}/`
  for (const uri of leaf.uris) {
    if (!uri.startsWith(prefix)) continue
    const [key = '', ...rest] = uri.slice(prefix.length).split('/')
    const value = rest.join('/')
    if (key !== '' && value !== '') values.push(`san:${key}:${value}`)
  }
  return values
}

function evenHex(value: bigint): string {
  const hex = value.toString(16)
  return hex.length % 2 === 0 ? hex : `0${hex}`
}

/** The octets of an address as certificates write it: an IPv4 address inside an IPv6 one is the IPv4 address. */
function addressBytes(text: string): Uint8Array | undefined {
  const address = text.replace(/^::ffff:(?=\d+\.)/i, '')
  if (isIP(address) === 4) return Uint8Array.from(address.split('.').map(Number))
  if (isIP(address) !== 6) return undefined
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16)))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const all =
    tail === undefined ? before : [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Uint8Array.from(all.flatMap(group => [group >> 8, group & 0xff]))
}

function malformed(message: string, cause?: unknown): NodeAttestationError {
  return new NodeAttestationError('ERR_NODE_MALFORMED', message, { cause })
}

function refused(message: string, cause?: unknown): NodeAttestationError {
  return new NodeAttestationError('ERR_NODE_REFUSED', message, { cause })
}
