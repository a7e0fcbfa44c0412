import type { types } from '@plastron/api'
import type { BundleRecord, KeyAuthorityRecord, X509AuthorityRecord } from '../datastore/index.ts'
import { ProtoWriter } from './proto-writer.ts'

/** The fields of a bundle that a mask wants, one bit for each field number from 2. */
type BundleFieldSet = number

/** Every field. */
export const ALL_BUNDLE_FIELDS: BundleFieldSet = 0x7c

/** Encoded bundles by their records, which never change. There are no more forms than sets of fields. */
const kept = new WeakMap<BundleRecord, Map<BundleFieldSet, Buffer>>()

/** The fields that a mask of a request wants; all of them without a mask. The trust domain is always there. */
export function bundleFieldSet(mask: types.BundleMask | undefined): BundleFieldSet {
  if (mask === undefined) return ALL_BUNDLE_FIELDS
  return (
    (mask.x509Authorities ? 1 << 2 : 0) |
    (mask.jwtAuthorities ? 1 << 3 : 0) |
    (mask.refreshHint ? 1 << 4 : 0) |
    (mask.sequenceNumber ? 1 << 5 : 0) |
    (mask.witAuthorities ? 1 << 6 : 0)
  )
}

/**
 * The bytes of a `spire.api.types.Bundle`, encoded once for each record and set of fields and kept as long as the
 * registry holds the record.
 *
 * @returns bytes that are shared: nobody may change them
 */
export function encodedBundle(bundle: BundleRecord, fields: BundleFieldSet = ALL_BUNDLE_FIELDS): Buffer {
  let forms = kept.get(bundle)
  if (forms === undefined) {
    forms = new Map()
    kept.set(bundle, forms)
  }
  let bytes = forms.get(fields)
  if (bytes === undefined) {
    const writer = new ProtoWriter(1024)
    writeBundleFields(writer, bundle, fields)
    bytes = Buffer.from(writer.finish())
    forms.set(fields, bytes)
  }
  return bytes
}

function writeBundleFields(writer: ProtoWriter, bundle: BundleRecord, fields: BundleFieldSet): void {
  const wants = (field: number): boolean => (fields & (1 << field)) !== 0
  writer.text(1, bundle.trustDomain)
  if (wants(2)) for (const authority of bundle.x509Authorities) writer.message(2, authority, writeX509Authority)
  if (wants(3)) for (const key of bundle.jwtAuthorities) writer.message(3, key, writeKey)
  if (wants(4)) writer.uint(4, bundle.refreshHintSeconds)
  if (wants(5)) writer.uint64(5, bundle.sequenceNumber)
  if (wants(6)) for (const key of bundle.witAuthorities) writer.message(6, key, writeKey)
}

function writeX509Authority(writer: ProtoWriter, { der, tainted }: X509AuthorityRecord): void {
  writer.bytes(1, der)
  writer.bool(2, tainted)
}

function writeKey(writer: ProtoWriter, key: KeyAuthorityRecord): void {
  writer.bytes(1, key.publicKey)
  writer.text(2, key.keyId)
  writer.uint(3, key.expiresAt)
  writer.bool(4, key.tainted)
}
