import { create } from '@bufbuild/protobuf'
import { types } from '@plastron/api'
import { checkDnsName } from '@plastron/pki'
import { TrustDomain } from '@plastron/spiffe'
import type { EntryFields, EntryRecord } from '../datastore/index.ts'
import { type IdReader, idMessage } from './ids.ts'
import { wanted } from './masks.ts'
import { selectorMessages, selectorTexts } from './selectors.ts'
import { invalid } from './status.ts'

const MAX_HINT_BYTES = 1024

/** The message of an entry with the fields that a mask wants; the id always. */
export function entryMessage(entry: EntryRecord, mask: types.EntryMask | undefined): types.Entry {
  const want = wanted(mask)
  const message = create(types.EntrySchema)
  message.id = entry.id
  if (want('spiffeId')) message.spiffeId = create(types.SPIFFEIDSchema, idMessage(entry.spiffeId))
  if (want('parentId')) message.parentId = create(types.SPIFFEIDSchema, idMessage(entry.parentId))
  if (want('selectors')) {
    message.selectors = selectorMessages(entry.selectors).map(selector => create(types.SelectorSchema, selector))
  }
  if (want('x509SvidTtl')) message.x509SvidTtl = entry.x509SvidTtlSeconds
  if (want('federatesWith')) message.federatesWith = [...entry.federatesWith]
  if (want('admin')) message.admin = entry.admin
  if (want('downstream')) message.downstream = entry.downstream
  if (want('expiresAt')) message.expiresAt = BigInt(entry.expiresAt)
  if (want('dnsNames')) message.dnsNames = [...entry.dnsNames]
  if (want('revisionNumber')) message.revisionNumber = BigInt(entry.revision)
  if (want('storeSvid')) message.storeSvid = entry.storeSvid
  if (want('jwtSvidTtl')) message.jwtSvidTtl = entry.jwtSvidTtlSeconds
  if (want('hint')) message.hint = entry.hint
  if (want('createdAt')) message.createdAt = BigInt(entry.createdAt)
  if (want('additionalAttributes') && entry.attributes !== undefined) {
    message.additionalAttributes = create(types.Entry_AdditionalAttributesSchema, entry.attributes)
  }
  return message
}

function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw invalid(what, cause)
  }
}

function trustDomainName(text: string): string {
  return parsed('invalid federated trust domain', () => TrustDomain.parse(text).name)
}

function checkHint(hint: string): string {
  if (Buffer.byteLength(hint) > MAX_HINT_BYTES) {
    throw invalid(`hint is too long, max length is ${MAX_HINT_BYTES} bytes`)
  }
  return hint
}

function seconds(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`invalid expiry ${value}`)
  return Number(value)
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The fields of an entry message that a mask names, checked; all of them without a mask. */
export function entryFields(
  ids: IdReader,
  message: types.Entry,
  mask: types.EntryMask | undefined,
): Partial<EntryFields> {
  const want = wanted(mask)
  const fields: Partial<Writable<EntryFields>> = {}
  if (want('parentId')) fields.parentId = parsed('invalid parent ID', () => ids.member(message.parentId).toString())
  if (want('spiffeId')) fields.spiffeId = parsed('invalid spiffe ID', () => ids.workload(message.spiffeId).toString())
  if (want('admin')) fields.admin = message.admin
  if (want('dnsNames')) {
    fields.dnsNames = parsed('invalid DNS name', () => message.dnsNames.map(name => checkDnsName(name)))
  }
  if (want('downstream')) fields.downstream = message.downstream
  if (want('expiresAt')) fields.expiresAt = seconds(message.expiresAt)
  if (want('federatesWith')) fields.federatesWith = message.federatesWith.map(trustDomainName)
  if (want('selectors')) {
    if (message.selectors.length === 0) throw invalid('selector list is empty')
    fields.selectors = selectorTexts(message.selectors)
  }
  if (want('storeSvid')) fields.storeSvid = message.storeSvid
  if (want('x509SvidTtl')) fields.x509SvidTtlSeconds = message.x509SvidTtl
  if (want('jwtSvidTtl')) fields.jwtSvidTtlSeconds = message.jwtSvidTtl
  if (want('hint')) fields.hint = checkHint(message.hint)
  if (want('additionalAttributes')) {
    const given = message.additionalAttributes
    fields.attributes =
      given === undefined
        ? undefined
        : { disableX509SvidPrefetch: given.disableX509SvidPrefetch, jwtSvidIncludeJti: given.jwtSvidIncludeJti }
  }
  return fields
}

/** What a whole entry message says, for a new entry. */
export function newEntryFields(ids: IdReader, message: types.Entry): EntryFields {
  return entryFields(ids, message, undefined) as EntryFields
}
