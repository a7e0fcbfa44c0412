export {
  ALL_BUNDLE_FIELDS,
  bundleFieldSet,
  encodedBundle,
} from './encoded-bundle.ts'
export {
  ALL_ENTRY_FIELDS,
  type EntryFieldSet,
  encodedEntry,
  entryFieldSet,
  keptEntrySize,
  writeEntry,
  writeKeptEntry,
} from './encoded-entry.ts'
export { ProtoWriter } from './proto-writer.ts'
