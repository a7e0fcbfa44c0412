import type { Extension } from '../certificate/extensions.ts'
import { Name } from '../certificate/name.ts'
import { EXTENSION_REQUEST_OID } from '../certificate/request.ts'
import { isAscii } from '../der/strings.ts'
import { contextTag } from '../der/tags.ts'
import { der, derBitString, derInteger, derOid, derSequence, derSetOf } from '../der/writer.ts'
import { PkiError } from '../errors.ts'
import {
  algorithmFacts,
  algorithmFits,
  defaultSignatureAlgorithm,
  type SignatureAlgorithm,
} from '../keys/algorithms.ts'
import { PrivateKey } from '../keys/private-key.ts'
import type { Signer } from '../keys/signer.ts'
import { checkDnsName } from './dns-name.ts'
import { encodeExtension, encodeSubjectAltName } from './extension-encoding.ts'
import { signWith } from './minter.ts'
import { checkExtraExtensions } from './profile.ts'

/** What a certification request says. */
export interface RequestProfile {
  /** The key that the certificate is for; it signs the request. */
  readonly signer: Signer
  /** Default: by the signer's key. */
  readonly signatureAlgorithm?: SignatureAlgorithm | undefined
  /** Default: the empty name. */
  readonly subject?: Name | undefined
  /** URI names to ask for, ASCII, in order after the DNS names. Default none. */
  readonly uris?: readonly string[] | undefined
  /** DNS names to ask for, as {@link checkDnsName} allows them, in order. Default none. */
  readonly dnsNames?: readonly string[] | undefined
  /** Further extensions to ask for. */
  readonly extraExtensions?: readonly Extension[] | undefined
}

/**
 * Makes a DER PKCS#10 certification request (RFC 2986).
 * @throws {@link PkiError} `ERR_PKI_PROFILE`, `ERR_PKI_DNS_NAME`, `ERR_PKI_ALGORITHM`, `ERR_PKI_DER` for what is no OID, `ERR_PKI_DER_LIMIT`,
 * `ERR_PKI_SIGN`
 */
export async function createCertificateRequest(profile: RequestProfile): Promise<Uint8Array> {
  const { signer, subject = Name.empty, uris = [], dnsNames = [], extraExtensions = [] } = profile
  const algorithm = profile.signatureAlgorithm ?? defaultSignatureAlgorithm(signer.publicKey.kind)
  if (!algorithmFits(algorithm, signer.publicKey.kind)) {
    throw new PkiError('ERR_PKI_ALGORITHM', `a key of kind ${signer.publicKey.kind} does not sign with ${algorithm}`)
  }
  for (const uri of uris) {
    if (uri === '' || !isAscii(uri))
      throw new PkiError('ERR_PKI_PROFILE', `URI "${uri.slice(0, 80)}" is empty or not ASCII`)
  }
  for (const name of dnsNames) checkDnsName(name)
  checkExtraExtensions(extraExtensions)

  const extensions = extraExtensions.map(encodeExtension)
  if (uris.length + dnsNames.length > 0) extensions.unshift(encodeSubjectAltName(uris, dnsNames, subject.isEmpty))
  const attributes =
    extensions.length === 0 ? [] : [derSequence(derOid(EXTENSION_REQUEST_OID), derSetOf(derSequence(...extensions)))]
  const info = derSequence(derInteger(0), subject.der, signer.publicKey.spki, der(contextTag(0, true), ...attributes))
  const signature = await signWith(signer, algorithm, info, !(signer instanceof PrivateKey))
  return derSequence(info, algorithmFacts(algorithm).identifier, derBitString(signature))
}
