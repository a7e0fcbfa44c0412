import { EncodedMessage } from '@plastron/runtime'
import type { BundleRecord, EntryRecord, Position } from '../datastore/index.ts'
import { encodedBundle, keptEntrySize, ProtoWriter, writeKeptEntry } from '../encoding/index.ts'
import { historyBytes } from './position.ts'

/** No message of a watch is larger, unless one entry or bundle alone is. */
const MAX_PART_BYTES = 1 << 20
/** What a part needs besides entries and bundles. */
const FRAME_BYTES = 256

/** Why a snapshot is sent: numbers of `SnapshotBegin.Reason`. */
const snapshotReasons = {
  INITIAL: 1,
  HISTORY_CHANGED: 2,
  AHEAD: 3,
  TOO_OLD: 4,
  TOO_SLOW: 5,
  AGENT_CHANGED: 6,
} as const
export type SnapshotReason = keyof typeof snapshotReasons

/** The numbers of the fields of `WatchResponse`. */
const CONTENT = { snapshotBegin: 2, snapshotChunk: 3, snapshotEnd: 4, delta: 5 } as const

/** What an agent is told of one change, or of all that it missed. */
export interface DeltaContent {
  readonly entries: readonly EntryRecord[]
  readonly removedIds: readonly string[]
  readonly bundles: readonly BundleRecord[]
  readonly removedBundles: readonly string[]
}

/** What an agent may act on at a position. */
export interface SnapshotContent {
  readonly entries: readonly EntryRecord[]
  readonly bundles: readonly BundleRecord[]
  readonly position: Position
}

/** One thing that a part holds, and what it takes at most. */
interface Item {
  readonly size: number
  write(writer: ProtoWriter): void
}

/** The parts of a snapshot, each encoded when it is asked for. */
export function* snapshotMessages(
  reason: SnapshotReason,
  content: SnapshotContent,
  now: () => Date,
): Generator<EncodedMessage> {
  yield message(now(), CONTENT.snapshotBegin, 16, writer => writer.uint(1, snapshotReasons[reason]))
  for (const { items, size } of parts(snapshotItems(content))) {
    if (items.length === 0) continue
    yield message(now(), CONTENT.snapshotChunk, size, writer => {
      for (const item of items) item.write(writer)
    })
  }
  yield message(now(), CONTENT.snapshotEnd, 64, writer => {
    writer.message(1, content.position, writePosition)
    writer.uint(2, content.entries.length)
    writer.uint(3, content.bundles.length)
  })
}

/** The parts of a delta; the last one says the position. */
export function* deltaMessages(content: DeltaContent, position: Position, now: () => Date): Generator<EncodedMessage> {
  for (const { items, size, last } of parts(deltaItems(content))) {
    yield message(now(), CONTENT.delta, size, writer => {
      if (last) writer.message(1, position, writePosition)
      writer.bool(2, !last)
      for (const item of items) item.write(writer)
    })
  }
}

/** Bytes that a delta takes, a few too many. */
export function deltaSize(content: DeltaContent): number {
  let size = FRAME_BYTES
  for (const item of deltaItems(content)) size += item.size
  return size
}

function message(now: Date, field: number, size: number, write: (writer: ProtoWriter) => void): EncodedMessage {
  const writer = new ProtoWriter(size + FRAME_BYTES)
  writer.message(1, now.getTime(), writeTimestamp)
  writer.message(field, undefined, write)
  return new EncodedMessage(writer.finish())
}

/** Groups items into parts that are not too large; always at least one, and none is announced as last before it is. */
function* parts(items: Iterable<Item>): Generator<{ items: readonly Item[]; size: number; last: boolean }> {
  let part: Item[] = []
  let size = 0
  for (const item of items) {
    if (part.length > 0 && size + item.size > MAX_PART_BYTES - FRAME_BYTES) {
      yield { items: part, size, last: false }
      part = []
      size = 0
    }
    part.push(item)
    size += item.size
  }
  yield { items: part, size, last: true }
}

function* snapshotItems({ entries, bundles }: SnapshotContent): Generator<Item> {
  // Bundles first: an agent that asks for documents as entries come can check them.
  for (const bundle of bundles) yield bundleItem(2, bundle)
  for (const entry of entries) yield entryItem(1, entry)
}

function* deltaItems(content: DeltaContent): Generator<Item> {
  for (const entry of content.entries) yield entryItem(3, entry)
  for (const id of content.removedIds) yield textItem(4, id)
  for (const bundle of content.bundles) yield bundleItem(5, bundle)
  for (const name of content.removedBundles) yield textItem(6, name)
}

function entryItem(field: number, entry: EntryRecord): Item {
  return { size: keptEntrySize(entry), write: writer => writeKeptEntry(writer, field, entry) }
}

function bundleItem(field: number, bundle: BundleRecord): Item {
  const bytes = encodedBundle(bundle)
  return { size: bytes.length + 10, write: writer => writer.bytes(field, bytes) }
}

function textItem(field: number, text: string): Item {
  return { size: text.length * 3 + 10, write: writer => writer.textItem(field, text) }
}

function writePosition(writer: ProtoWriter, { history, number }: Position): void {
  writer.bytes(1, historyBytes(history))
  writer.uint(2, number)
}

function writeTimestamp(writer: ProtoWriter, ms: number): void {
  const seconds = Math.floor(ms / 1000)
  writer.uint(1, seconds)
  writer.uint(2, (ms - seconds * 1000) * 1_000_000)
}
