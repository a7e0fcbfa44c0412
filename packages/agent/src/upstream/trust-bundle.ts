import type { types } from '@plastron/api'
import { Certificate, PublicKey } from '@plastron/pki'
import { Bundle, TrustDomain } from '@plastron/spiffe'
import { AgentError, reasonOf } from '../agent-error.ts'

/** A bundle as a server tells it: what verifies, and what of it nothing may rest on for long. Immutable. */
export interface TrustBundle {
  readonly bundle: Bundle
  /** X.509 authorities under which everything is to be issued anew. Still among the bundle's authorities. */
  readonly taintedX509: readonly Certificate[]
  /** Key IDs of JWT authorities whose tokens are to be dropped. */
  readonly taintedJwtKeyIds: ReadonlySet<string>
  /** Key IDs of WIT authorities whose tokens are to be dropped. */
  readonly taintedWitKeyIds: ReadonlySet<string>
}

/** A bundle without taints. */
export function untainted(bundle: Bundle): TrustBundle {
  return { bundle, taintedX509: [], taintedJwtKeyIds: new Set(), taintedWitKeyIds: new Set() }
}

/** True when bundles and taints are the same. */
export function sameTrustBundle(a: TrustBundle, b: TrustBundle): boolean {
  return (
    a.bundle.equals(b.bundle) &&
    a.taintedX509.length === b.taintedX509.length &&
    a.taintedX509.every(certificate => b.taintedX509.some(other => other.equals(certificate))) &&
    sameIds(a.taintedJwtKeyIds, b.taintedJwtKeyIds) &&
    sameIds(a.taintedWitKeyIds, b.taintedWitKeyIds)
  )
}

/**
 * Reads a bundle of a server's reply.
 *
 * @param expected the trust domain that was asked for
 * @throws {@link AgentError} `ERR_AGENT_SERVER_REPLY` for the bundle of another trust domain and for one that cannot be read
 */
export function trustBundleFromProto(message: types.Bundle, expected: TrustDomain): TrustBundle {
  try {
    const trustDomain = TrustDomain.parse(message.trustDomain)
    if (!trustDomain.equals(expected)) throw new Error(`it is the bundle of ${trustDomain}`)
    const x509 = message.x509Authorities.map(({ asn1, tainted }) => ({ certificate: Certificate.parse(asn1), tainted }))
    return {
      bundle: new Bundle(trustDomain, {
        x509Authorities: x509.map(({ certificate }) => certificate),
        jwtAuthorities: message.jwtAuthorities.map(keyEntry),
        witAuthorities: message.witAuthorities.map(keyEntry),
        sequenceNumber: message.sequenceNumber,
        refreshHintSeconds: Number(message.refreshHint),
      }),
      taintedX509: x509.flatMap(({ certificate, tainted }) => (tainted ? [certificate] : [])),
      taintedJwtKeyIds: taintedIds(message.jwtAuthorities),
      taintedWitKeyIds: taintedIds(message.witAuthorities),
    }
  } catch (cause) {
    throw new AgentError(
      'ERR_AGENT_SERVER_REPLY',
      `the server's bundle of ${expected} cannot be used: ${reasonOf(cause)}`,
      { cause },
    )
  }
}

function keyEntry({ keyId, publicKey }: types.JWTKey | types.WITKey): readonly [string, PublicKey] {
  return [keyId, PublicKey.fromSpki(publicKey)]
}

function taintedIds(keys: readonly (types.JWTKey | types.WITKey)[]): ReadonlySet<string> {
  return new Set(keys.filter(({ tainted }) => tainted).map(({ keyId }) => keyId))
}

function sameIds(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every(id => b.has(id))
}
