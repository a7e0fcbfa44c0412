import { randomInt } from 'node:crypto'
import { Certificate, createJwsSigner, createMinter, mintCertificate, type Signer } from '@plastron/pki'
import { SpiffeId, type TrustDomain, verifyX509Svid, X509Bundle } from '@plastron/spiffe'
import { type CaSubjectParts, leafSvidProfile, selfSignedCaProfile, validity } from '../issuance/profiles.ts'
import type { SlotId, TokenAuthority, X509Authority } from './authority.ts'

/** Makes a self-signed CA and proves it by signing and verifying an SVID that nobody gets (SRV-ISS-055). */
export async function makeSelfSignedAuthority(options: {
  readonly trustDomain: TrustDomain
  readonly subject: CaSubjectParts
  readonly slot: SlotId
  readonly signer: Signer
  readonly ttlMs: number
  readonly now: Date
}): Promise<X509Authority> {
  const { trustDomain, subject, slot, signer, ttlMs, now } = options
  const profile = selfSignedCaProfile(trustDomain, subject, signer.publicKey, validity(now, ttlMs, undefined))
  const der = await mintCertificate(profile, { signer, name: profile.subject })
  const authority = x509Authority({
    slot,
    signer,
    certificate: Certificate.parse(der),
    upstreamChain: [],
    issuedAt: now,
  })
  await proveAuthority(authority, trustDomain, now)
  return authority
}

/** What makes an authority of a certificate and the key that belongs to it. */
export function x509Authority(
  parts: Pick<X509Authority, 'slot' | 'signer' | 'certificate' | 'upstreamChain' | 'issuedAt'>,
): X509Authority {
  const { certificate, signer } = parts
  const subjectKeyId = certificate.subjectKeyId ?? signer.publicKey.subjectKeyId()
  return {
    ...parts,
    kind: 'x509',
    id: Buffer.from(subjectKeyId).toString('hex'),
    notAfter: certificate.notAfter,
    minter: createMinter({ signer, name: certificate.subject, subjectKeyId }),
  }
}

/** What makes a token authority of a key. */
export function tokenAuthority(
  parts: Pick<TokenAuthority, 'kind' | 'id' | 'slot' | 'signer' | 'issuedAt' | 'notAfter'>,
): TokenAuthority {
  const typ = parts.kind === 'jwt' ? 'JWT' : 'wit+jwt'
  return { ...parts, jws: createJwsSigner({ signer: parts.signer, header: { kid: parts.id, typ } }) }
}

const keyIdCharacters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

/** 32 random letters and digits (SRV-ISS-027). */
export function randomKeyId(): string {
  return Array.from({ length: 32 }, () => keyIdCharacters[randomInt(keyIdCharacters.length)]).join('')
}

async function proveAuthority(authority: X509Authority, trustDomain: TrustDomain, now: Date): Promise<void> {
  const id = SpiffeId.fromSegments(trustDomain, 'spire', 'throwaway')
  const { publicKey } = authority.signer
  const leaf = await authority.minter.mint(leafSvidProfile(id, publicKey, validity(now, 60_000, authority.notAfter)))
  await verifyX509Svid([leaf, ...authority.upstreamChain], new X509Bundle(trustDomain, [authority.certificate]), {
    now,
  })
}
