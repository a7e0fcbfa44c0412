import { hash } from 'node:crypto'
import { DatastoreError } from '../errors.ts'
import type { EntryFields } from '../records.ts'

const ID = /^[A-Za-z0-9_.-]{1,255}$/
const MAX_INT32 = 2 ** 31 - 1

function refuse(rule: string): never {
  throw new DatastoreError('ERR_DATASTORE_INVALID', `invalid registration entry: ${rule}`)
}

/** The type of a selector text. */
function selectorType(selector: string): string {
  return selector.slice(0, selector.indexOf(':'))
}

/** @throws {@link DatastoreError} `ERR_DATASTORE_INVALID` unless the id has 1 to 255 characters of `[A-Za-z0-9_.-]`. */
export function checkEntryId(id: string): void {
  if (id.length > 255) refuse('entry ID too long')
  if (!ID.test(id)) refuse(`entry ID ${JSON.stringify(id)} contains invalid characters`)
}

/**
 * The rules that hold for every stored entry, whatever part of it a request named.
 *
 * @throws {@link DatastoreError} `ERR_DATASTORE_INVALID`
 */
export function checkEntry(entry: EntryFields): void {
  if (entry.spiffeId === '') refuse('missing SPIFFE ID')
  if (entry.parentId === '') refuse('missing parent ID')
  if (entry.selectors.length === 0) refuse('missing selector list')
  if (entry.selectors.length > 1 && new Set(entry.selectors).size !== entry.selectors.length) {
    refuse('the same selector is given twice')
  }
  if (entry.x509SvidTtlSeconds < 0 || entry.x509SvidTtlSeconds > MAX_INT32) refuse('X509-SVID TTL out of range')
  if (entry.jwtSvidTtlSeconds < 0 || entry.jwtSvidTtlSeconds > MAX_INT32) refuse('JWT-SVID TTL out of range')
  if (entry.storeSvid) {
    if (entry.attributes?.disableX509SvidPrefetch === true) {
      refuse('an SVID that is stored must be prefetched: disable_x509_svid_prefetch and store_svid exclude each other')
    }
    const type = selectorType(entry.selectors[0]!)
    if (entry.selectors.some(selector => selectorType(selector) !== type)) {
      refuse('selector types must be the same when store SVID is enabled')
    }
  }
}

/** SPIFFE ID, parent and selector set as one text: two entries are similar exactly when they share it. */
function similarityText(entry: EntryFields): string {
  const selectors = entry.selectors.length > 1 ? entry.selectors.toSorted() : entry.selectors
  return JSON.stringify([entry.spiffeId, entry.parentId, selectors])
}

/** 48 bits of a digest that similar entries share; others rarely do. */
export function similarityOf(entry: EntryFields): number {
  return Number.parseInt(hash('sha256', similarityText(entry), 'hex').slice(0, 12), 16)
}

/** Whether two entries have the same SPIFFE ID, parent and selector set. */
export function areSimilar(one: EntryFields, other: EntryFields): boolean {
  return similarityText(one) === similarityText(other)
}

/** Whether an entry has the shape of the alias that goes with a join token: its only selector names its parent. */
export function isTokenAlias(entry: EntryFields): boolean {
  return entry.selectors.length === 1 && entry.selectors[0] === `spiffe_id:${entry.parentId}`
}
