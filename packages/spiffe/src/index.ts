export { Bundle, type BundleParts, type BundleSource } from './bundle/bundle.ts'
export { BundleSet, JwtBundleSet, WitBundleSet, X509BundleSet } from './bundle/bundle-set.ts'
export { MAX_DOCUMENT_BYTES } from './bundle/jwks.ts'
export { JwtBundle, type JwtBundleSource, WitBundle, type WitBundleSource } from './bundle/key-bundle.ts'
export type { KeyMap } from './bundle/key-map.ts'
export { MAX_AUTHORITIES, X509Bundle, type X509BundleSource } from './bundle/x509-bundle.ts'
export { MAX_ID_BYTES, MAX_TRUST_DOMAIN_BYTES } from './id/characters.ts'
export { matchAny, matchId, matchMemberOf, matchOneOf, type SpiffeIdMatcher } from './id/matcher.ts'
export { checkIdPath, checkIdPathSegment, idPath, joinIdPath } from './id/path.ts'
export { SpiffeId, TrustDomain } from './id/spiffe-id.ts'
export { isSpiffeError, SpiffeError, type SpiffeErrorCode } from './spiffe-error.ts'
export {
  JwtSvid,
  type ParseInsecureOptions,
  tokenOfAuthorization,
  type VerifyJwtSvidOptions,
  verifyJwtSvid,
} from './svid/jwt-svid.ts'
export { type Claims, DEFAULT_LEEWAY_SECONDS, MAX_LEEWAY_SECONDS, MAX_TOKEN_LENGTH } from './svid/token.ts'
export {
  type ProofOfPossession,
  verifyWitSvid,
  verifyWitSvidWithoutProof,
  WitSvid,
  type WitSvidHolding,
  type WitSvidOptions,
} from './svid/wit-svid.ts'
export { checkLeaf, MAX_CHAIN_CERTIFICATES, spiffeIdFromCertificate } from './svid/x509-leaf.ts'
export { X509Svid, type X509SvidSource } from './svid/x509-svid.ts'
export { type VerifiedX509Svid, type VerifyX509SvidOptions, verifyX509Svid } from './svid/x509-verify.ts'
