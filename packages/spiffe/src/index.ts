export type { Bundle, BundleParts, BundleSource } from './bundle/bundle.ts'
export type { BundleSet, JwtBundleSet, WitBundleSet, X509BundleSet } from './bundle/bundle-set.ts'
export type { MAX_DOCUMENT_BYTES } from './bundle/jwks.ts'
export type { JwtBundle, JwtBundleSource, WitBundle, WitBundleSource } from './bundle/key-bundle.ts'
export type { KeyMap } from './bundle/key-map.ts'
export type { MAX_AUTHORITIES, X509Bundle, X509BundleSource } from './bundle/x509-bundle.ts'
export { MAX_ID_BYTES, MAX_TRUST_DOMAIN_BYTES } from './id/characters.ts'
export { matchAny, matchId, matchMemberOf, matchOneOf, type SpiffeIdMatcher } from './id/matcher.ts'
export { checkIdPath, checkIdPathSegment, idPath, joinIdPath } from './id/path.ts'
export { SpiffeId, TrustDomain } from './id/spiffe-id.ts'
export { isSpiffeError, SpiffeError, type SpiffeErrorCode } from './spiffe-error.ts'
export type { JwtSvid, ParseInsecureOptions, VerifyJwtSvidOptions, verifyJwtSvid } from './svid/jwt-svid.ts'
export type { Claims, DEFAULT_LEEWAY_SECONDS, MAX_LEEWAY_SECONDS, MAX_TOKEN_LENGTH } from './svid/token.ts'
export type {
  ProofOfPossession,
  verifyWitSvid,
  verifyWitSvidWithoutProof,
  WitSvid,
  WitSvidHolding,
  WitSvidOptions,
} from './svid/wit-svid.ts'
export type { checkLeaf, spiffeIdFromCertificate } from './svid/x509-leaf.ts'
export type { X509Svid, X509SvidSource } from './svid/x509-svid.ts'
export type {
  MAX_CHAIN_CERTIFICATES,
  VerifiedX509Svid,
  VerifyX509SvidOptions,
  verifyX509Svid,
} from './svid/x509-verify.ts'
