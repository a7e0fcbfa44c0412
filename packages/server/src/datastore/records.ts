/**
 * What is stored, as immutable values. Times are whole seconds since 1970 (0: never); SPIFFE IDs and trust domain
 * names are canonical text, parsed at the edge; a selector is the text `type:value` (a type holds no colon).
 */

/** Additional attributes of an entry; absent when they were never given. */
export interface EntryAttributes {
  readonly disableX509SvidPrefetch: boolean
  readonly jwtSvidIncludeJti: boolean
}

/** What a caller decides about a registration entry. */
export interface EntryFields {
  readonly spiffeId: string
  readonly parentId: string
  readonly selectors: readonly string[]
  readonly x509SvidTtlSeconds: number
  readonly jwtSvidTtlSeconds: number
  /** Trust domain names. */
  readonly federatesWith: readonly string[]
  readonly admin: boolean
  readonly downstream: boolean
  readonly storeSvid: boolean
  readonly expiresAt: number
  readonly dnsNames: readonly string[]
  readonly hint: string
  readonly attributes: EntryAttributes | undefined
}

/** An entry to create; without an id it gets a random UUID. */
export interface NewEntry extends EntryFields {
  readonly id?: string | undefined
}

/** A stored registration entry. */
export interface EntryRecord extends EntryFields {
  /** Place in the order of creation: grows, never reused; page tokens are made of it. */
  readonly row: number
  readonly id: string
  /** 0 when created, one more at each update. */
  readonly revision: number
  readonly createdAt: number
}

/** A stored agent. An empty `serial` means banned: it can neither call nor attest again. */
export interface AgentRecord {
  /** Place in the order of first attestation: grows, never reused; page tokens are made of it. */
  readonly row: number
  readonly id: string
  readonly attestationType: string
  /** Decimal serial number of the SVID in use; empty when banned. */
  readonly serial: string
  readonly expiresAt: number
  /** Decimal serial number of a renewed SVID that has not been used yet; empty when there is none. */
  readonly newSerial: string
  readonly newExpiresAt: number
  readonly canReattest: boolean
  readonly version: string
  readonly selectors: readonly string[]
  /** A join token still waits for this agent's first authenticated call; until then its key may replay it. */
  readonly tokenPending: boolean
}

/** A join token as it was made. */
export interface JoinTokenRecord {
  readonly value: string
  readonly expiresAt: number
}

/** An X.509 authority of a bundle. */
export interface X509AuthorityRecord {
  readonly der: Uint8Array
  readonly tainted: boolean
}

/** A JWT or WIT authority of a bundle; `publicKey` is SPKI DER. */
export interface KeyAuthorityRecord {
  readonly keyId: string
  readonly publicKey: Uint8Array
  readonly expiresAt: number
  readonly tainted: boolean
}

/** The authorities of one trust domain. */
export interface BundleRecord {
  readonly trustDomain: string
  readonly x509Authorities: readonly X509AuthorityRecord[]
  readonly jwtAuthorities: readonly KeyAuthorityRecord[]
  readonly witAuthorities: readonly KeyAuthorityRecord[]
  readonly refreshHintSeconds: number
  /** Grows with each change that this server makes itself; kept as given when a bundle is set. */
  readonly sequenceNumber: bigint
}

/** How the bundle endpoint of a foreign trust domain proves itself. */
type BundleEndpointProfile =
  | { readonly kind: 'https_web' }
  | { readonly kind: 'https_spiffe'; readonly endpointSpiffeId: string }

/** Where the bundle of a foreign trust domain comes from. */
export interface FederationRelationshipRecord {
  readonly row: number
  readonly trustDomain: string
  readonly bundleEndpointUrl: string
  readonly profile: BundleEndpointProfile
}

/** One server's record of its signing authorities, opaque to the datastore. */
export interface CaJournalRecord {
  readonly id: number
  readonly activeX509AuthorityId: string
  readonly data: Uint8Array
}
