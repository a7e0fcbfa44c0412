import type { Selectable } from 'kysely'
import type {
  AgentRecord,
  BundleRecord,
  EntryAttributes,
  EntryRecord,
  FederationRelationshipRecord,
  KeyAuthorityRecord,
} from '../records.ts'
import type { AgentsTable, BundlesTable, EntriesTable, FederationRelationshipsTable } from '../schema.ts'
import type { Transaction } from './transaction.ts'

const NONE: readonly string[] = Object.freeze([])

function textList(json: string, column: string): readonly string[] {
  if (json === '[]') return NONE
  const value: unknown = JSON.parse(json)
  if (!Array.isArray(value) || !value.every(item => typeof item === 'string')) {
    throw new TypeError(`column ${column} is not a list of texts`)
  }
  return value
}

function attributes(json: string | null): EntryAttributes | undefined {
  if (json === null) return undefined
  const value = JSON.parse(json) as Partial<Record<keyof EntryAttributes, unknown>>
  return {
    disableX509SvidPrefetch: value.disableX509SvidPrefetch === true,
    jwtSvidIncludeJti: value.jwtSvidIncludeJti === true,
  }
}

function text(value: unknown, column: string): string {
  if (typeof value !== 'string') throw new TypeError(`column ${column} is not text`)
  return value
}

function whole(value: unknown, column: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new TypeError(`column ${column} is not a number`)
  return value
}

/** @throws TypeError or SyntaxError when the row does not hold what the schema promises. */
export function entryFromRow(row: Selectable<EntriesTable>): EntryRecord {
  return {
    row: row.row,
    id: text(row.id, 'id'),
    spiffeId: text(row.spiffe_id, 'spiffe_id'),
    parentId: text(row.parent_id, 'parent_id'),
    selectors: textList(row.selectors, 'selectors'),
    x509SvidTtlSeconds: whole(row.x509_svid_ttl, 'x509_svid_ttl'),
    jwtSvidTtlSeconds: whole(row.jwt_svid_ttl, 'jwt_svid_ttl'),
    federatesWith: textList(row.federates_with, 'federates_with'),
    admin: row.admin !== 0,
    downstream: row.downstream !== 0,
    storeSvid: row.store_svid !== 0,
    expiresAt: whole(row.expires_at, 'expires_at'),
    dnsNames: textList(row.dns_names, 'dns_names'),
    hint: text(row.hint, 'hint'),
    attributes: attributes(row.attributes),
    revision: whole(row.revision, 'revision'),
    createdAt: whole(row.created_at, 'created_at'),
  }
}

/** @throws TypeError or SyntaxError when the row does not hold what the schema promises. */
export function agentFromRow(row: Selectable<AgentsTable>): AgentRecord {
  return {
    row: row.row,
    id: text(row.id, 'id'),
    attestationType: text(row.attestation_type, 'attestation_type'),
    serial: text(row.serial, 'serial'),
    expiresAt: whole(row.expires_at, 'expires_at'),
    newSerial: text(row.new_serial, 'new_serial'),
    newExpiresAt: whole(row.new_expires_at, 'new_expires_at'),
    canReattest: row.can_reattest !== 0,
    version: text(row.version, 'version'),
    selectors: textList(row.selectors, 'selectors'),
    tokenPending: row.token_pending !== 0,
  }
}

interface StoredKey {
  readonly id: string
  readonly key: string
  readonly expires: number
  readonly tainted?: true
}

interface StoredAuthorities {
  readonly x509: readonly { readonly der: string; readonly tainted?: true }[]
  readonly jwt: readonly StoredKey[]
  readonly wit: readonly StoredKey[]
}

const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(text(base64, 'authorities'), 'base64'))
const base64 = (value: Uint8Array): string => Buffer.from(value).toString('base64')

function keyFromStored(stored: StoredKey): KeyAuthorityRecord {
  return {
    keyId: text(stored.id, 'authorities'),
    publicKey: bytes(stored.key),
    expiresAt: whole(stored.expires, 'authorities'),
    tainted: stored.tainted === true,
  }
}

function keyToStored(key: KeyAuthorityRecord): StoredKey {
  const stored = { id: key.keyId, key: base64(key.publicKey), expires: key.expiresAt }
  return key.tainted ? { ...stored, tainted: true } : stored
}

/** @throws TypeError or SyntaxError when the row does not hold what the schema promises. */
export function bundleFromRow(row: Selectable<BundlesTable>): BundleRecord {
  const stored = JSON.parse(row.authorities) as StoredAuthorities
  return {
    trustDomain: text(row.trust_domain, 'trust_domain'),
    x509Authorities: stored.x509.map(item => ({ der: bytes(item.der), tainted: item.tainted === true })),
    jwtAuthorities: stored.jwt.map(keyFromStored),
    witAuthorities: stored.wit.map(keyFromStored),
    refreshHintSeconds: whole(row.refresh_hint, 'refresh_hint'),
    sequenceNumber: BigInt(row.sequence_number),
  }
}

/** The row that {@link bundleFromRow} reads. */
export function bundleToRow(bundle: BundleRecord): Selectable<BundlesTable> {
  const authorities: StoredAuthorities = {
    x509: bundle.x509Authorities.map(item =>
      item.tainted ? { der: base64(item.der), tainted: true } : { der: base64(item.der) },
    ),
    jwt: bundle.jwtAuthorities.map(keyToStored),
    wit: bundle.witAuthorities.map(keyToStored),
  }
  return {
    trust_domain: bundle.trustDomain,
    authorities: JSON.stringify(authorities),
    refresh_hint: bundle.refreshHintSeconds,
    sequence_number: bundle.sequenceNumber.toString(),
  }
}

/** @throws TypeError or SyntaxError when the row does not hold what the schema promises. */
export function relationshipFromRow(row: Selectable<FederationRelationshipsTable>): FederationRelationshipRecord {
  return {
    row: row.row,
    trustDomain: text(row.trust_domain, 'trust_domain'),
    bundleEndpointUrl: text(row.bundle_endpoint_url, 'bundle_endpoint_url'),
    profile:
      row.endpoint_spiffe_id === null
        ? { kind: 'https_web' }
        : { kind: 'https_spiffe', endpointSpiffeId: row.endpoint_spiffe_id },
  }
}

/** Reads rows one by one: what cannot be read is reported and left out. */
export function readable<Row, Value>(
  tx: Transaction,
  table: string,
  rows: readonly Row[],
  name: (row: Row) => unknown,
  read: (row: Row) => Value,
): Value[] {
  const values: Value[] = []
  for (const row of rows) {
    try {
      values.push(read(row))
    } catch (cause) {
      tx.unreadable(table, String(name(row)), cause)
    }
  }
  return values
}
