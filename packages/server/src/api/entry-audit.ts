import type { types } from '@plastron/api'
import { wanted } from './masks.ts'
import { selectorField } from './selectors.ts'

const idText = (id: types.SPIFFEID | undefined): string | undefined => id && `spiffe://${id.trustDomain}${id.path}`
const list = (texts: readonly string[]): string | undefined => (texts.length === 0 ? undefined : texts.join(','))

/** What the audit record says of an entry in a request: the fields that its mask names. */
export function entryAuditFields(entry: types.Entry, mask: types.EntryMask | undefined): Record<string, unknown> {
  const want = wanted(mask)
  const fields: Record<string, unknown> = {}
  if (entry.id !== '') fields.entry_id = entry.id
  if (want('spiffeId')) fields.spiffe_id = idText(entry.spiffeId)
  if (want('parentId')) fields.parent_id = idText(entry.parentId)
  if (want('selectors')) fields.selectors = selectorField(entry.selectors) || undefined
  if (want('x509SvidTtl')) fields.x509_svid_ttl = entry.x509SvidTtl
  if (want('jwtSvidTtl')) fields.jwt_svid_ttl = entry.jwtSvidTtl
  if (want('federatesWith')) fields.federates_with = list(entry.federatesWith)
  if (want('admin')) fields.admin = entry.admin
  if (want('downstream')) fields.downstream = entry.downstream
  if (want('expiresAt')) fields.expires_at = entry.expiresAt.toString()
  if (want('dnsNames')) fields.dns_name = list(entry.dnsNames)
  if (want('revisionNumber')) fields.revision_number = entry.revisionNumber.toString()
  if (want('storeSvid')) fields.store_svid = entry.storeSvid
  if (want('hint')) fields.hint = entry.hint
  if (want('createdAt')) fields.created_at = entry.createdAt.toString()
  return fields
}
