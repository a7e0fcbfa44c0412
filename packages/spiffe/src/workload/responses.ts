import { createPrivateKey } from 'node:crypto'
import type * as workload from '@plastron/api/workload'
import { PrivateKey, parseJsonObjectStrict } from '@plastron/pki'
import { JwtBundleSet, WitBundleSet, X509BundleSet } from '../bundle/bundle-set.ts'
import { JwtBundle, WitBundle } from '../bundle/key-bundle.ts'
import { X509Bundle } from '../bundle/x509-bundle.ts'
import { SpiffeId, TrustDomain } from '../id/spiffe-id.ts'
import { SpiffeError } from '../spiffe-error.ts'
import { JwtSvid } from '../svid/jwt-svid.ts'
import { WitSvid } from '../svid/wit-svid.ts'
import { X509Svid } from '../svid/x509-svid.ts'

/** Everything that the Workload API says about a workload's X.509 identities, as of one moment. Immutable. */
export interface X509Context {
  /** At least one; the first is the default identity. */
  readonly svids: readonly [defaultSvid: X509Svid, ...others: X509Svid[]]
  /** The bundles of the own trust domain and of those it federates with. */
  readonly bundles: X509BundleSet
}

/** Reads an X.509 answer. Of SVIDs with the same hint only the first is taken. @throws {@link SpiffeError} */
export function readX509Context(answer: workload.X509SVIDResponse): X509Context {
  const bundles = new Map<string, X509Bundle>()
  for (const [name, der] of Object.entries(answer.federatedBundles)) {
    const trustDomain = TrustDomain.parse(name)
    bundles.set(trustDomain.name, X509Bundle.parseDer(trustDomain, der))
  }
  const svids = firstOfEachHint(answer.svids).map(message => {
    mustBeSet('X509-SVID', message.x509Svid, message.x509SvidKey)
    const svid = X509Svid.parseDer(message.x509Svid, message.x509SvidKey, message.hint)
    mustBeAbout('X509-SVID', svid.id, message.spiffeId)
    const { trustDomain } = svid.id
    bundles.set(trustDomain.name, X509Bundle.parseDer(trustDomain, message.bundle))
    return svid
  })
  return { svids: Object.freeze(atLeastOne('X509-SVID', svids)), bundles: new X509BundleSet(bundles.values()) }
}

/** Reads an answer with X.509 bundles. @throws {@link SpiffeError} */
export function readX509Bundles(answer: workload.X509BundlesResponse): X509BundleSet {
  return new X509BundleSet(bundlesOf(answer.bundles, (trustDomain, der) => X509Bundle.parseDer(trustDomain, der)))
}

/** Reads an answer with JWT bundles. @throws {@link SpiffeError} */
export function readJwtBundles(answer: workload.JWTBundlesResponse): JwtBundleSet {
  return new JwtBundleSet(bundlesOf(answer.bundles, (trustDomain, jwks) => JwtBundle.parse(trustDomain, jwks)))
}

/** Reads an answer with WIT bundles. @throws {@link SpiffeError} */
export function readWitBundles(answer: workload.WITBundlesResponse): WitBundleSet {
  return new WitBundleSet(bundlesOf(answer.bundles, (trustDomain, jwks) => WitBundle.parse(trustDomain, jwks)))
}

/** Reads an answer with JWT-SVIDs for an audience. @throws {@link SpiffeError} */
export function readJwtSvids(
  answer: workload.JWTSVIDResponse,
  audience: readonly string[],
  now: Date,
): readonly [JwtSvid, ...JwtSvid[]] {
  const svids = firstOfEachHint(answer.svids).map(message => {
    const svid = JwtSvid.parseInsecure(message.svid, { audience, now, hint: message.hint })
    mustBeAbout('JWT-SVID', svid.id, message.spiffeId)
    return svid
  })
  return atLeastOne('JWT-SVID', svids)
}

/** Reads the answer to a validation: the token's value, after the server said that it is valid. @throws {@link SpiffeError} */
export function readValidation(
  answer: workload.ValidateJWTSVIDResponse,
  token: string,
  audience: string,
  now: Date,
): JwtSvid {
  const svid = JwtSvid.parseInsecure(token, { audience, now })
  mustBeAbout('JWT-SVID', svid.id, answer.spiffeId)
  return svid
}

/** Reads an answer with WIT-SVIDs. @throws {@link SpiffeError} */
export function readWitSvids(answer: workload.WITSVIDResponse, now: Date): readonly [WitSvid, ...WitSvid[]] {
  const svids = firstOfEachHint(answer.svids).map(message => {
    const holding = { privateKey: readPrivateJwk(message.witSvidKey), hint: message.hint }
    const svid = WitSvid.parseInsecure(message.witSvid, { now }, holding)
    mustBeAbout('WIT-SVID', svid.id, message.spiffeId)
    return svid
  })
  return atLeastOne('WIT-SVID', svids)
}

/** The standard: of several SVIDs with one hint the first is used. */
function firstOfEachHint<T extends { readonly hint: string }>(messages: readonly T[]): T[] {
  const hints = new Set<string>()
  return messages.filter(({ hint }) => {
    if (hint === '') return true
    if (hints.has(hint)) return false
    hints.add(hint)
    return true
  })
}

function atLeastOne<T>(what: string, svids: readonly T[]): readonly [T, ...T[]] {
  const [first, ...rest] = svids
  if (first === undefined) throw new SpiffeError('ERR_WORKLOAD_RESPONSE', `answer has no ${what}`)
  return [first, ...rest]
}

function mustBeSet(what: string, ...fields: readonly Uint8Array[]): void {
  if (fields.some(field => field.length === 0)) {
    throw new SpiffeError('ERR_WORKLOAD_RESPONSE', `a mandatory field of the ${what} is missing`)
  }
}

function mustBeAbout(what: string, id: SpiffeId, said: string): void {
  if (said === '') throw new SpiffeError('ERR_WORKLOAD_RESPONSE', `the SPIFFE ID of the ${what} is missing`)
  if (!SpiffeId.parse(said).equals(id)) {
    throw new SpiffeError('ERR_WORKLOAD_RESPONSE', `answer calls the ${what} of ${id} that of another SPIFFE ID`)
  }
}

function bundlesOf<D, B>(
  documents: Readonly<Record<string, D>>,
  parse: (trustDomain: TrustDomain, document: D) => B,
): B[] {
  const entries = Object.entries(documents)
  if (entries.length === 0) throw new SpiffeError('ERR_WORKLOAD_RESPONSE', 'answer has no bundles')
  return entries.map(([name, document]) => parse(TrustDomain.parse(name), document))
}

function readPrivateJwk(text: string): PrivateKey {
  try {
    return PrivateKey.fromKeyObject(createPrivateKey({ key: { ...parseJsonObjectStrict(text) }, format: 'jwk' }))
  } catch {
    // No cause: it could hold a piece of the key.
    throw new SpiffeError('ERR_WORKLOAD_RESPONSE', 'private key of the WIT-SVID is not an acceptable JWK')
  }
}
