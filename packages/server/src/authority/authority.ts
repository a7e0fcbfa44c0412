import type { Certificate, JwsSigner, Minter, Signer } from '@plastron/pki'

/** The three kinds of documents that a trust domain signs. */
export type AuthorityKind = 'x509' | 'jwt' | 'wit'

export const authorityKinds: readonly AuthorityKind[] = Object.freeze(['x509', 'jwt', 'wit'])

/** A kind in messages. */
export function authorityTitle(kind: AuthorityKind): string {
  return kind === 'x509' ? 'X.509' : kind.toUpperCase()
}

/** Each kind has two slots; the key of a slot has a fixed id in the key manager (SRV-ISS-050). */
export type SlotId = 'A' | 'B'

const keyPrefix: Readonly<Record<AuthorityKind, string>> = { x509: 'x509-CA', jwt: 'JWT-Signer', wit: 'WIT-Signer' }

export function slotKeyId(kind: AuthorityKind, slot: SlotId): string {
  return `${keyPrefix[kind]}-${slot}`
}

interface AuthorityBase {
  /** X.509: the subject key id in lower-case hexadecimal. JWT and WIT: the key id. */
  readonly id: string
  readonly slot: SlotId
  readonly signer: Signer
  readonly issuedAt: Date
  readonly notAfter: Date
}

/** A CA of the trust domain with everything that signing with it needs, made once. */
export interface X509Authority extends AuthorityBase {
  readonly kind: 'x509'
  readonly certificate: Certificate
  /** What goes with every certificate it signs, after the leaf: none for a self-signed CA (SRV-ISS-014). */
  readonly upstreamChain: readonly Uint8Array[]
  readonly minter: Minter
}

/** A key that signs tokens. */
export interface TokenAuthority extends AuthorityBase {
  readonly kind: 'jwt' | 'wit'
  readonly jws: JwsSigner
}

export type Authority = X509Authority | TokenAuthority

/** Where an authority is in its life. */
export type AuthorityStatus = 'prepared' | 'active' | 'old'

/** One of the two slots of a kind. */
export interface Slot {
  readonly authority: Authority
  readonly status: AuthorityStatus
  /** Whether what it signed is to be renewed. Only old ones are. */
  readonly tainted: boolean
}

/** Both slots of a kind: the one that signs, and the other one (prepared for later, or old). */
export interface Slots {
  readonly current: Slot | undefined
  readonly next: Slot | undefined
}

const dayMs = 86_400_000

/** The next authority is prepared when less than half of the life, at most 30 days, is left (SRV-ISS-051). */
export function isTimeToPrepare(authority: Authority, now: Date): boolean {
  return left(authority, now) < Math.min(life(authority) / 2, 30 * dayMs)
}

/** The prepared authority takes over when less than a sixth of the life, at most 7 days, is left (SRV-ISS-052). */
export function isTimeToActivate(authority: Authority, now: Date): boolean {
  return left(authority, now) < Math.min(life(authority) / 6, 7 * dayMs)
}

function life({ issuedAt, notAfter }: Authority): number {
  return notAfter.getTime() - issuedAt.getTime()
}

function left({ notAfter }: Authority, now: Date): number {
  return notAfter.getTime() - now.getTime()
}
