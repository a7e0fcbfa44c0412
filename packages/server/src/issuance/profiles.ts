import {
  type CertificateProfile,
  leafProfile,
  Name,
  type PublicKey,
  randomSerialNumber,
  signingProfile,
} from '@plastron/pki'
import type { SpiffeId, TrustDomain } from '@plastron/spiffe'

/** How far documents are back-dated, for clocks that are behind ours. */
const backdateMs = 10_000

/** Subject of a leaf that asks for none (SRV-ISS-009). */
const defaultLeafSubject = Name.create([
  { type: 'C', value: 'US' },
  { type: 'O', value: 'SPIRE' },
])

/** From when to when a document is valid. */
export interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

/** Back-dated, and no longer than its authority (SRV-ISS-002). Whole seconds, as certificates have them. */
export function validity(now: Date, ttlMs: number, authorityNotAfter: Date | undefined): Validity {
  const seconds = (ms: number) => Math.floor(ms / 1000) * 1000
  const wanted = now.getTime() + ttlMs
  return {
    notBefore: new Date(seconds(now.getTime() - backdateMs)),
    notAfter: new Date(
      seconds(authorityNotAfter === undefined ? wanted : Math.min(wanted, authorityNotAfter.getTime())),
    ),
  }
}

/** What the operator decides about the subject of the CA. */
export interface CaSubjectParts {
  readonly country: readonly string[]
  readonly organization: readonly string[]
  readonly commonName: string
}

/**
 * A self-signed CA of the trust domain (SRV-ISS-005). The subject carries the serial number, so that each CA has a name of its
 * own and verifiers that go by names never confuse two of them.
 */
export function selfSignedCaProfile(
  trustDomain: TrustDomain,
  subject: CaSubjectParts,
  publicKey: PublicKey,
  validity: Validity,
): CertificateProfile {
  const serialNumber = randomSerialNumber()
  const attributes = [
    ...subject.country.map(value => ({ type: 'C', value })),
    ...subject.organization.map(value => ({ type: 'O', value })),
    ...(subject.commonName === '' ? [] : [{ type: 'CN', value: subject.commonName }]),
    { type: 'SERIALNUMBER', value: serialNumber.toString() },
  ]
  return signingProfile({
    subject: Name.create(attributes),
    publicKey,
    serialNumber,
    uris: [trustDomain.id().toString()],
    ...validity,
  })
}

/** The CA of a downstream server (SRV-ISS-007): the signing CA's subject with a unit that says how far down it is. */
export function downstreamCaProfile(
  trustDomain: TrustDomain,
  signingSubject: Name,
  signingChainLength: number,
  publicKey: PublicKey,
  validity: Validity,
): CertificateProfile {
  const subject = signingSubject.with('OU', `DOWNSTREAM-${signingChainLength}`)
  return signingProfile({ subject, publicKey, uris: [trustDomain.id().toString()], ...validity })
}

/** A server's, agent's or workload's X509-SVID (SRV-ISS-008 to 010). The first DNS name becomes the common name. */
export function leafSvidProfile(
  id: SpiffeId,
  publicKey: PublicKey,
  validity: Validity,
  dnsNames: readonly string[] = [],
  subject = defaultLeafSubject,
): CertificateProfile {
  const [first] = dnsNames
  return leafProfile({
    subject: first === undefined ? subject : subject.with('CN', first),
    publicKey,
    uris: [id.toString()],
    dnsNames,
    ...validity,
  })
}
