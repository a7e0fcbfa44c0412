export { Certificate, type TimeEncoding } from './certificate/certificate.ts'
export {
  type AuthorityKeyIdentifier,
  type Extension,
  type KeyUsageBit,
  keyUsageBits,
  type NameConstraints,
  type ParsedExtensions,
} from './certificate/extensions.ts'
export type { GeneralName } from './certificate/general-name.ts'
export { Name, type NameAttribute, type NameAttributeInput } from './certificate/name.ts'
export { ExtensionOid, ExtKeyUsageOid } from './certificate/oids.ts'
export { CertificateRequest, type RequestAttribute } from './certificate/request.ts'
export { type BitString, checkDerShape, DerElement, type DerLimits, DerReader, defaultDerLimits } from './der/reader.ts'
export { contextTag, Tag } from './der/tags.ts'
export {
  der,
  derAscii,
  derBitString,
  derBoolean,
  derInteger,
  derNull,
  derOctetString,
  derOid,
  derSequence,
  derSetOf,
  derTime,
  derUnsigned,
  derUtf8,
} from './der/writer.ts'
export { PkiError, type PkiErrorCode, pkiErrorCodes } from './errors.ts'
export { isJwsAlgorithm, type JwsAlgorithm, jwsAlgorithmsFor, signatureAlgorithmOf } from './jws/algorithms.ts'
export {
  isJsonObject,
  type JsonLimits,
  type JsonObject,
  type JsonValue,
  parseJsonObjectStrict,
  parseJsonStrict,
} from './jws/json.ts'
export { type JwsParseOptions, type ParsedJws, parseJws, refusedHeaderParameters } from './jws/parse.ts'
export { createJwsSigner, type JwsSigner, type JwsSignerOptions, signJws } from './jws/sign.ts'
export { verifyJws } from './jws/verify.ts'
export { defaultSignatureAlgorithm, type KeyKind, type KeyType, type SignatureAlgorithm } from './keys/algorithms.ts'
export { base64urlDecode, base64urlEncode } from './keys/base64url.ts'
export { jwkThumbprint, type PublicJwk } from './keys/jwk.ts'
export { type PemBlock, type PemLimits, pemDecode, pemEncode } from './keys/pem.ts'
export { PrivateKey } from './keys/private-key.ts'
export { PublicKey } from './keys/public-key.ts'
export type { Signer } from './keys/signer.ts'
export { checkDnsName, checkWildcardOverlap } from './minting/dns-name.ts'
export { type CertificateIssuer, createMinter, type Minter, mintCertificate } from './minting/minter.ts'
export {
  type CertificateProfile,
  checkProfile,
  leafExtKeyUsage,
  leafKeyUsage,
  leafProfile,
  type ProfileFields,
  signingKeyUsage,
  signingProfile,
} from './minting/profile.ts'
export { createCertificateRequest, type RequestProfile } from './minting/request.ts'
export { pooledRandom, type RandomBytes, randomSerialNumber } from './minting/serial-number.ts'
export {
  defaultPathLimits,
  type PathLimits,
  type PathProfile,
  type PathProfileName,
  pathProfiles,
} from './validation/path-profile.ts'
export { type PathValidation, validatePath } from './validation/validate-path.ts'
