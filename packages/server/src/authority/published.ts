import type { AuthorityNames, BundleAuthorities, BundleRecord } from '../datastore/index.ts'
import type { Authority } from './authority.ts'

/** What an authority adds to the bundle of its trust domain. */
export function contributionOf(authority: Authority): BundleAuthorities {
  if (authority.kind === 'x509') return { x509Authorities: [{ der: authority.certificate.der, tainted: false }] }
  const key = {
    keyId: authority.id,
    publicKey: authority.signer.publicKey.spki,
    expiresAt: Math.floor(authority.notAfter.getTime() / 1000),
    tainted: false,
  }
  return authority.kind === 'jwt' ? { jwtAuthorities: [key] } : { witAuthorities: [key] }
}

/** What an authority is called in the bundle. */
export function namesOf(authority: Authority): AuthorityNames {
  return authority.kind === 'x509' ? { x509: [authority.certificate.der] } : tokenNames(authority.kind, authority.id)
}

/** What a key that verifies tokens is called in the bundle. */
export function tokenNames(kind: 'jwt' | 'wit', keyId: string): AuthorityNames {
  return kind === 'jwt' ? { jwt: [keyId] } : { wit: [keyId] }
}

/** What the bundle holds of an authority; undefined when it does not hold it. */
export function publishedAs(bundle: BundleRecord | undefined, authority: Authority): { tainted: boolean } | undefined {
  if (authority.kind === 'x509') {
    const { der } = authority.certificate
    return bundle?.x509Authorities.find(other => Buffer.compare(other.der, der) === 0)
  }
  return publishedKeys(bundle, authority.kind).find(({ keyId }) => keyId === authority.id)
}

/** The keys of a bundle that verify one kind of token. */
export function publishedKeys(bundle: BundleRecord | undefined, kind: 'jwt' | 'wit') {
  return (kind === 'jwt' ? bundle?.jwtAuthorities : bundle?.witAuthorities) ?? []
}
