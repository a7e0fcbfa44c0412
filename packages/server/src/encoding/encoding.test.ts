import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { bundleV1, entryV1, types } from '@plastron/api'
import fc from 'fast-check'
import { bundleMessage } from '../api/bundle-messages.ts'
import { entryMessage } from '../api/entry-messages.ts'
import type { BundleRecord, EntryRecord } from '../datastore/index.ts'
import {
  ALL_BUNDLE_FIELDS,
  ALL_ENTRY_FIELDS,
  bundleFieldSet,
  encodedBundle,
  encodedEntry,
  entryFieldSet,
  keptEntrySize,
  ProtoWriter,
  writeEntry,
  writeKeptEntry,
} from './index.ts'

const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 300 }), fc.constant(''))
const path = fc.oneof(
  fc.constant(''),
  fc.string({ minLength: 1, maxLength: 200 }).map(tail => `/${tail}`),
)
const spiffeId = fc
  .tuple(fc.stringMatching(/^[a-z0-9.-]{1,30}$/), path)
  .map(([name, tail]) => `spiffe://${name}${tail}`)
const seconds = fc.oneof(fc.constant(0), fc.maxSafeNat(), fc.nat({ max: 4_000_000_000 }))
const int32 = fc.nat({ max: 2 ** 31 - 1 })
const record: fc.Arbitrary<EntryRecord> = fc.record({
  row: fc.nat(),
  id: text,
  spiffeId,
  parentId: spiffeId,
  selectors: fc.array(
    fc.tuple(text, text).map(([type, value]) => `${type.replaceAll(':', '')}:${value}`),
    {
      maxLength: 4,
    },
  ),
  x509SvidTtlSeconds: int32,
  jwtSvidTtlSeconds: int32,
  federatesWith: fc.array(text, { maxLength: 3 }),
  admin: fc.boolean(),
  downstream: fc.boolean(),
  storeSvid: fc.boolean(),
  expiresAt: seconds,
  dnsNames: fc.array(text, { maxLength: 3 }),
  hint: text,
  attributes: fc.option(fc.record({ disableX509SvidPrefetch: fc.boolean(), jwtSvidIncludeJti: fc.boolean() }), {
    nil: undefined,
  }),
  revision: seconds,
  createdAt: seconds,
})
const maskOf = (names: readonly string[]) => Object.fromEntries(names.map(name => [name, true]))
const entryMask = fc.option(
  fc
    .subarray(types.EntryMaskSchema.fields.map(field => field.localName))
    .map(names => create(types.EntryMaskSchema, maskOf(names))),
  { nil: undefined },
)
const bytes = fc.uint8Array({ maxLength: 600 })
const key = fc.record({ keyId: text, publicKey: bytes, expiresAt: seconds, tainted: fc.boolean() })
const bundle: fc.Arbitrary<BundleRecord> = fc.record({
  trustDomain: text,
  x509Authorities: fc.array(fc.record({ der: bytes, tainted: fc.boolean() }), { maxLength: 4 }),
  jwtAuthorities: fc.array(key, { maxLength: 3 }),
  witAuthorities: fc.array(key, { maxLength: 3 }),
  refreshHintSeconds: seconds,
  sequenceNumber: fc.bigInt(0n, (1n << 64n) - 1n),
})
const bundleMask = fc.option(
  fc
    .subarray(types.BundleMaskSchema.fields.map(field => field.localName))
    .map(names => create(types.BundleMaskSchema, maskOf(names))),
  { nil: undefined },
)

describe('encoded entries and bundles', () => {
  test('an entry is what the stock codec writes, with any mask, however often it is asked for', () => {
    fc.assert(
      fc.property(record, fc.array(entryMask, { minLength: 1, maxLength: 6 }), (entry, masks) => {
        for (const mask of [...masks, ...masks]) {
          const expected = Buffer.from(toBinary(types.EntrySchema, entryMessage(entry, mask)))
          assert.deepEqual(encodedEntry(entry, entryFieldSet(mask)), expected)
          assert.ok(keptEntrySize(entry, entryFieldSet(mask)) > expected.length)
        }
      }),
    )
  })

  test('a list of entries is what the stock codec writes, kept or not', () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 5 }), entryMask, text, (entries, mask, nextPageToken) => {
        const message = create(entryV1.ListEntriesResponseSchema, { nextPageToken })
        message.entries = entries.map(entry => entryMessage(entry, mask))
        const expected = Buffer.from(toBinary(entryV1.ListEntriesResponseSchema, message))
        for (const write of [writeEntry, writeKeptEntry, writeEntry]) {
          const writer = new ProtoWriter(1)
          for (const entry of entries) write(writer, 1, entry, entryFieldSet(mask))
          writer.text(2, nextPageToken)
          assert.deepEqual(writer.finish(), expected)
        }
      }),
    )
  })

  test('a bundle is what the stock codec writes, with any mask, and is written once', () => {
    fc.assert(
      fc.property(bundle, bundleMask, (value, mask) => {
        const encoded = encodedBundle(value, bundleFieldSet(mask))
        assert.deepEqual(encoded, Buffer.from(toBinary(types.BundleSchema, bundleMessage(value, mask))))
        assert.equal(encodedBundle(value, bundleFieldSet(mask)), encoded)
      }),
    )
  })

  test('an absent mask and one that names every field are the same; each field has its own bit', () => {
    const whole = create(types.EntryMaskSchema, maskOf(types.EntryMaskSchema.fields.map(field => field.localName)))
    assert.equal(entryFieldSet(whole), ALL_ENTRY_FIELDS)
    assert.equal(entryFieldSet(undefined), ALL_ENTRY_FIELDS)
    for (const { localName, number } of types.EntryMaskSchema.fields) {
      assert.equal(entryFieldSet(create(types.EntryMaskSchema, maskOf([localName]))), 1 << number)
    }
    const all = create(types.BundleMaskSchema, maskOf(types.BundleMaskSchema.fields.map(field => field.localName)))
    assert.equal(bundleFieldSet(all), ALL_BUNDLE_FIELDS)
    assert.equal(bundleFieldSet(undefined), ALL_BUNDLE_FIELDS)
    for (const { localName, number } of types.BundleMaskSchema.fields) {
      assert.equal(bundleFieldSet(create(types.BundleMaskSchema, maskOf([localName]))), 1 << number)
    }
    assert.deepEqual(
      bundleV1.GetBundleRequestSchema.fields.map(field => field.localName),
      ['outputMask'],
    )
  })

  test('numbers that the record cannot hold are refused, not written as something else', () => {
    const writer = new ProtoWriter()
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => writer.uint(1, value), RangeError)
    for (const value of [-1n, 1n << 64n]) assert.throws(() => writer.uint64(1, value), RangeError)
    assert.equal(writer.length, 0)
  })
})
