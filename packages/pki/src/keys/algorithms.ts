import type { DerReader } from '../der/reader.ts'
import { Tag } from '../der/tags.ts'
import { derNull, derOid, derSequence } from '../der/writer.ts'
import { PkiError } from '../errors.ts'

/** Key kinds that can be made. */
export type KeyType = 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-4096' | 'ed25519'

/** Key kinds that can be read and can verify. */
export type KeyKind = 'ec-p256' | 'ec-p384' | 'ec-p521' | 'rsa' | 'ed25519'

/** A signature algorithm with its hash, named independently of X.509 and JWS. */
export type SignatureAlgorithm =
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'rsa-sha256'
  | 'rsa-sha384'
  | 'rsa-sha512'
  | 'rsa-pss-sha256'
  | 'rsa-pss-sha384'
  | 'rsa-pss-sha512'
  | 'ed25519'

/** What a signature algorithm means. */
export interface AlgorithmFacts {
  readonly family: 'ec' | 'rsa' | 'rsa-pss' | 'ed25519'
  /** The hash as node:crypto names it; null if the algorithm brings its own. */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  /** Octets of the hash; the salt of RSASSA-PSS has the same length. */
  readonly hashBytes: number
  /** DER of the AlgorithmIdentifier in certificates and requests. */
  readonly identifier: Uint8Array
}

const HASH_OIDS = {
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
}

function ecdsa(hash: 'sha256' | 'sha384' | 'sha512', hashBytes: number, oid: string): AlgorithmFacts {
  return { family: 'ec', hash, hashBytes, identifier: derSequence(derOid(oid)) }
}

function rsa(hash: 'sha256' | 'sha384' | 'sha512', hashBytes: number, oid: string): AlgorithmFacts {
  return { family: 'rsa', hash, hashBytes, identifier: derSequence(derOid(oid), derNull()) }
}

/** RFC 4055, "RSASSA-PSS Public Keys": hash and mask generation use the same hash, the salt is as long as it. */
function pss(hash: 'sha256' | 'sha384' | 'sha512', hashBytes: number): AlgorithmFacts {
  const hashIdentifier = derSequence(derOid(HASH_OIDS[hash]), derNull())
  const mask = derSequence(derOid('1.2.840.113549.1.1.8'), hashIdentifier)
  const salt = Uint8Array.of(0xa2, 3, Tag.integer, 1, hashBytes)
  const explicit = (number: number, inner: Uint8Array) => Uint8Array.of(0xa0 | number, inner.length, ...inner)
  const parameters = derSequence(explicit(0, hashIdentifier), explicit(1, mask), salt)
  return { family: 'rsa-pss', hash, hashBytes, identifier: derSequence(derOid('1.2.840.113549.1.1.10'), parameters) }
}

/** Facts of every algorithm by name. */
const algorithms: ReadonlyMap<SignatureAlgorithm, AlgorithmFacts> = new Map<SignatureAlgorithm, AlgorithmFacts>([
  ['ecdsa-sha256', ecdsa('sha256', 32, '1.2.840.10045.4.3.2')],
  ['ecdsa-sha384', ecdsa('sha384', 48, '1.2.840.10045.4.3.3')],
  ['ecdsa-sha512', ecdsa('sha512', 64, '1.2.840.10045.4.3.4')],
  ['rsa-sha256', rsa('sha256', 32, '1.2.840.113549.1.1.11')],
  ['rsa-sha384', rsa('sha384', 48, '1.2.840.113549.1.1.12')],
  ['rsa-sha512', rsa('sha512', 64, '1.2.840.113549.1.1.13')],
  ['rsa-pss-sha256', pss('sha256', 32)],
  ['rsa-pss-sha384', pss('sha384', 48)],
  ['rsa-pss-sha512', pss('sha512', 64)],
  ['ed25519', { family: 'ed25519', hash: null, hashBytes: 64, identifier: derSequence(derOid('1.3.101.112')) }],
])

/** The facts of an algorithm. @throws {@link PkiError} `ERR_PKI_ALGORITHM` for a name that is none. */
export function algorithmFacts(algorithm: SignatureAlgorithm): AlgorithmFacts {
  const facts = algorithms.get(algorithm)
  if (facts === undefined)
    throw new PkiError('ERR_PKI_ALGORITHM', `"${String(algorithm)}" is not a signature algorithm`)
  return facts
}

/** True if a key of this kind can make signatures of this algorithm. */
export function algorithmFits(algorithm: SignatureAlgorithm, kind: KeyKind): boolean {
  const family = algorithms.get(algorithm)?.family
  if (family === undefined) return false
  if (kind === 'rsa') return family === 'rsa' || family === 'rsa-pss'
  return kind === 'ed25519' ? family === 'ed25519' : family === 'ec'
}

/** The algorithm that an issuer with a key of this kind signs certificates with. */
export function defaultSignatureAlgorithm(kind: KeyKind): SignatureAlgorithm {
  switch (kind) {
    case 'ec-p256':
      return 'ecdsa-sha256'
    case 'ec-p384':
      return 'ecdsa-sha384'
    case 'ec-p521':
      return 'ecdsa-sha512'
    case 'rsa':
      return 'rsa-sha256'
    case 'ed25519':
      return 'ed25519'
  }
}

/** An AlgorithmIdentifier as it was read. */
export interface AlgorithmIdentifier {
  readonly oid: string
  /** The whole DER element. */
  readonly der: Uint8Array
  /** The known algorithm whose encoding these bytes are, parameters included; undefined for every other. */
  readonly algorithm: SignatureAlgorithm | undefined
}

/** Reads the AlgorithmIdentifier of a signature. Only the exact encodings that the RFCs prescribe map to an algorithm. */
export function readAlgorithmIdentifier(reader: DerReader, what: string): AlgorithmIdentifier {
  const element = reader.expect(Tag.sequence, what)
  const der = element.encoded
  const inside = element.reader()
  const oid = inside.expect(Tag.objectIdentifier, `${what} OID`).oid()
  if (!inside.done) inside.next()
  inside.finish(what)
  return { oid, der, algorithm: algorithmOf(der) }
}

function algorithmOf(identifier: Uint8Array): SignatureAlgorithm | undefined {
  for (const [name, facts] of algorithms) if (Buffer.compare(facts.identifier, identifier) === 0) return name
  return undefined
}
