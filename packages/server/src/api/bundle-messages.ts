import { hash } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import { types } from '@plastron/api'
import { Certificate, PublicKey } from '@plastron/pki'
import type { BundleRecord, KeyAuthorityRecord, X509AuthorityRecord } from '../datastore/index.ts'
import { wanted } from './masks.ts'
import { invalid } from './status.ts'

type KeyFields = { publicKey: Uint8Array; keyId: string; expiresAt: bigint; tainted: boolean }

/** The message of a JWT or WIT authority. */
export function keyMessage(key: KeyAuthorityRecord): KeyFields {
  return { publicKey: key.publicKey, keyId: key.keyId, expiresAt: BigInt(key.expiresAt), tainted: key.tainted }
}

/** The message of a bundle with the fields that a mask wants; the trust domain always. */
export function bundleMessage(bundle: BundleRecord, mask: types.BundleMask | undefined): types.Bundle {
  const want = wanted(mask)
  return create(types.BundleSchema, {
    trustDomain: bundle.trustDomain,
    ...(want('refreshHint') && { refreshHint: BigInt(bundle.refreshHintSeconds) }),
    ...(want('sequenceNumber') && { sequenceNumber: bundle.sequenceNumber }),
    ...(want('x509Authorities') && {
      x509Authorities: bundle.x509Authorities.map(({ der, tainted }) => ({ asn1: der, tainted })),
    }),
    ...(want('jwtAuthorities') && { jwtAuthorities: bundle.jwtAuthorities.map(keyMessage) }),
    ...(want('witAuthorities') && { witAuthorities: bundle.witAuthorities.map(keyMessage) }),
  })
}

/** X.509 authorities of a request. Whether one is tainted is for us to say. */
export function x509Authorities(certificates: readonly types.X509Certificate[]): X509AuthorityRecord[] {
  return certificates.map(({ asn1 }) => {
    try {
      return { der: Certificate.parse(asn1).der, tainted: false }
    } catch (cause) {
      throw invalid('unable to parse X.509 authority', cause)
    }
  })
}

/** JWT or WIT authorities of a request. Whether one is tainted is for us to say. */
export function keyAuthorities(
  keys: readonly (types.JWTKey | types.WITKey)[],
  kind: 'JWT' | 'WIT',
): KeyAuthorityRecord[] {
  return keys.map(({ publicKey, keyId, expiresAt }) => {
    try {
      PublicKey.fromSpki(publicKey)
    } catch (cause) {
      throw invalid(`unable to parse ${kind} authority`, cause)
    }
    if (keyId === '') throw invalid(`unable to parse ${kind} authority: missing key ID`)
    if (expiresAt < 0n || expiresAt > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw invalid(`unable to parse ${kind} authority: invalid expiry ${expiresAt}`)
    }
    return { keyId, publicKey, expiresAt: Number(expiresAt), tainted: false }
  })
}

/** A bundle of a request, for the trust domain of this name. */
export function bundleRecord(trustDomain: string, message: types.Bundle): BundleRecord {
  const { refreshHint, sequenceNumber } = message
  if (refreshHint < 0n || refreshHint > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalid(`invalid refresh hint ${refreshHint}`)
  return {
    trustDomain,
    x509Authorities: x509Authorities(message.x509Authorities),
    jwtAuthorities: keyAuthorities(message.jwtAuthorities, 'JWT'),
    witAuthorities: keyAuthorities(message.witAuthorities, 'WIT'),
    refreshHintSeconds: Number(refreshHint),
    sequenceNumber,
  }
}

const sha256 = (bytes: Uint8Array): string => (bytes.length === 0 ? '' : hash('sha256', bytes, 'hex'))

/** What an audit record says of the authorities in a request, one field each. */
export function authorityFields(message: {
  readonly x509Authorities?: readonly types.X509Certificate[]
  readonly jwtAuthorities?: readonly types.JWTKey[]
}): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [index, key] of (message.jwtAuthorities ?? []).entries()) {
    fields[`jwt_authority_expires_at.${index}`] = key.expiresAt.toString()
    fields[`jwt_authority_key_id.${index}`] = key.keyId
    fields[`jwt_authority_public_key_sha256.${index}`] = sha256(key.publicKey)
  }
  for (const [index, certificate] of (message.x509Authorities ?? []).entries()) {
    fields[`x509_authorities_asn1_sha256.${index}`] = sha256(certificate.asn1)
  }
  return fields
}

/** What an audit record says of a bundle in a request: the fields that its mask names. */
export function bundleAuditFields(message: types.Bundle, mask: types.BundleMask | undefined): Record<string, unknown> {
  const want = wanted(mask)
  return {
    trust_domain_id: message.trustDomain,
    ...(want('refreshHint') && { refresh_hint: message.refreshHint.toString() }),
    ...(want('sequenceNumber') && { sequence_number: message.sequenceNumber.toString() }),
    ...authorityFields({
      ...(want('jwtAuthorities') && { jwtAuthorities: message.jwtAuthorities }),
      ...(want('x509Authorities') && { x509Authorities: message.x509Authorities }),
    }),
  }
}
