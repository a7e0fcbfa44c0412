export { Certificate, type TimeEncoding } from './certificate/certificate.ts'
export {
  type AuthorityKeyIdentifier,
  type Extension,
  type KeyUsageBit,
  keyUsageBits,
  type NameConstraints,
} from './certificate/extensions.ts'
export type { GeneralName } from './certificate/general-name.ts'
export { Name, type NameAttribute, type NameAttributeInput } from './certificate/name.ts'
export { ExtensionOid, ExtKeyUsageOid } from './certificate/oids.ts'
export { PkiError, type PkiErrorCode } from './errors.ts'
export { defaultSignatureAlgorithm, type KeyKind, type KeyType, type SignatureAlgorithm } from './keys/algorithms.ts'
export { base64urlDecode, base64urlEncode } from './keys/base64url.ts'
export { jwkThumbprint, type PublicJwk } from './keys/jwk.ts'
export { type PemBlock, type PemLimits, pemDecode, pemEncode } from './keys/pem.ts'
export { PrivateKey } from './keys/private-key.ts'
export { PublicKey } from './keys/public-key.ts'
export type { Signer } from './keys/signer.ts'
