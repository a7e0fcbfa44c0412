import type { types } from '@plastron/api'
import type { EntryRecord } from '../datastore/index.ts'
import { ProtoWriter } from './proto-writer.ts'
import { writeSpiffeId } from './spiffe-id.ts'

/** The fields of an entry that a mask wants, one bit for each field number from 2. */
export type EntryFieldSet = number

/** Every field. */
export const ALL_ENTRY_FIELDS: EntryFieldSet = 0x1fffc

/** Forms of one entry that are kept, each for another mask: agents of a few versions ask at the same time. */
const FORMS = 3

interface Form {
  readonly fields: EntryFieldSet
  /** The message, one character a byte. */
  readonly latin1: string
}

/**
 * Encoded entries by their records. A record never changes (a changed entry is another record), so what is kept for one
 * is never stale, and goes with it.
 */
const forms = new WeakMap<EntryRecord, Form[]>()
const scratch = new ProtoWriter(1024)

/** The fields that a mask of a request wants; all of them without a mask. The id is always there. */
export function entryFieldSet(mask: types.EntryMask | undefined): EntryFieldSet {
  if (mask === undefined) return ALL_ENTRY_FIELDS
  return (
    (mask.spiffeId ? 1 << 2 : 0) |
    (mask.parentId ? 1 << 3 : 0) |
    (mask.selectors ? 1 << 4 : 0) |
    (mask.x509SvidTtl ? 1 << 5 : 0) |
    (mask.federatesWith ? 1 << 6 : 0) |
    (mask.admin ? 1 << 7 : 0) |
    (mask.downstream ? 1 << 8 : 0) |
    (mask.expiresAt ? 1 << 9 : 0) |
    (mask.dnsNames ? 1 << 10 : 0) |
    (mask.revisionNumber ? 1 << 11 : 0) |
    (mask.storeSvid ? 1 << 12 : 0) |
    (mask.jwtSvidTtl ? 1 << 13 : 0) |
    (mask.hint ? 1 << 14 : 0) |
    (mask.createdAt ? 1 << 15 : 0) |
    (mask.additionalAttributes ? 1 << 16 : 0)
  )
}

/**
 * The bytes of a `spire.api.types.Entry`, encoded once for each record and set of fields, and kept as long as the
 * registry holds the record. For answers that many callers get again and again; a listing uses {@link writeEntry}.
 *
 * @returns bytes of the caller's own
 */
export function encodedEntry(entry: EntryRecord, fields: EntryFieldSet = ALL_ENTRY_FIELDS): Buffer {
  return Buffer.from(keptEntry(entry, fields), 'latin1')
}

/** Bytes that {@link writeKeptEntry} adds to a message, tag and length included; at most 10 too many. */
export function keptEntrySize(entry: EntryRecord, fields: EntryFieldSet = ALL_ENTRY_FIELDS): number {
  return keptEntry(entry, fields).length + 10
}

/** Adds {@link encodedEntry} as a field of a message. */
export function writeKeptEntry(
  writer: ProtoWriter,
  field: number,
  entry: EntryRecord,
  fields: EntryFieldSet = ALL_ENTRY_FIELDS,
): void {
  writer.encodedMessage(field, keptEntry(entry, fields))
}

/** Adds an entry as a field of a message; nothing is kept. */
export function writeEntry(writer: ProtoWriter, field: number, entry: EntryRecord, fields: EntryFieldSet): void {
  const kept = forms.get(entry)?.find(form => form.fields === fields)
  if (kept !== undefined) writer.encodedMessage(field, kept.latin1)
  else writer.message(field, entry, (inner, record) => writeEntryFields(inner, record, fields))
}

function keptEntry(entry: EntryRecord, fields: EntryFieldSet): string {
  const kept = forms.get(entry)
  if (kept !== undefined) for (const form of kept) if (form.fields === fields) return form.latin1
  writeEntryFields(scratch, entry, fields)
  const form = { fields, latin1: scratch.takeLatin1() }
  if (kept === undefined) forms.set(entry, [form])
  else {
    kept.push(form)
    if (kept.length > FORMS) kept.shift()
  }
  return form.latin1
}

function writeEntryFields(writer: ProtoWriter, entry: EntryRecord, fields: EntryFieldSet): void {
  const wants = (field: number): boolean => (fields & (1 << field)) !== 0
  writer.text(1, entry.id)
  if (wants(2)) writer.message(2, entry.spiffeId, writeSpiffeId)
  if (wants(3)) writer.message(3, entry.parentId, writeSpiffeId)
  if (wants(4)) for (const selector of entry.selectors) writer.message(4, selector, writeSelector)
  if (wants(5)) writer.uint(5, entry.x509SvidTtlSeconds)
  if (wants(6)) for (const name of entry.federatesWith) writer.textItem(6, name)
  if (wants(7)) writer.bool(7, entry.admin)
  if (wants(8)) writer.bool(8, entry.downstream)
  if (wants(9)) writer.uint(9, entry.expiresAt)
  if (wants(10)) for (const name of entry.dnsNames) writer.textItem(10, name)
  if (wants(11)) writer.uint(11, entry.revision)
  if (wants(12)) writer.bool(12, entry.storeSvid)
  if (wants(13)) writer.uint(13, entry.jwtSvidTtlSeconds)
  if (wants(14)) writer.text(14, entry.hint)
  if (wants(15)) writer.uint(15, entry.createdAt)
  if (wants(16) && entry.attributes !== undefined) writer.message(16, entry.attributes, writeAttributes)
}

function writeSelector(writer: ProtoWriter, text: string): void {
  const colon = text.indexOf(':')
  writer.text(1, text.slice(0, colon))
  writer.text(2, text.slice(colon + 1))
}

function writeAttributes(writer: ProtoWriter, attributes: NonNullable<EntryRecord['attributes']>): void {
  writer.bool(1, attributes.disableX509SvidPrefetch)
  writer.bool(2, attributes.jwtSvidIncludeJti)
}
