import { setImmediate as nextTurn } from 'node:timers/promises'
import { EncodedMessage } from '@plastron/runtime'
import type { EntryRecord } from '../datastore/index.ts'
import { type EntryFieldSet, keptEntrySize, ProtoWriter, writeEntry, writeKeptEntry } from '../encoding/index.ts'
import { type ItemStatus, writeStatus } from './status.ts'

/** Entries that are written before others get their turn: about a millisecond of work. */
export const ENTRIES_PER_TURN = 500

/** How an answer holds its entries. */
export interface EntryAnswer {
  /** The number of the repeated field. */
  readonly field: number
  readonly fields: EntryFieldSet
  /** Whether the same entries are asked for again and again, as agents do, so that their bytes are worth keeping. */
  readonly keep: boolean
}

/** A writer that holds an answer with these entries, without keeping the loop to itself. */
export async function writeEntries(entries: readonly EntryRecord[], answer: EntryAnswer): Promise<ProtoWriter> {
  const writer = writerFor(entries, answer)
  for (let start = 0; start < entries.length; start += ENTRIES_PER_TURN) {
    if (start > 0) await nextTurn()
    writePart(writer, entries, start, answer)
  }
  return writer
}

/** The same for no more than {@link ENTRIES_PER_TURN} entries, at once. */
export function writeFewEntries(entries: readonly EntryRecord[], answer: EntryAnswer): ProtoWriter {
  const writer = writerFor(entries, answer)
  writePart(writer, entries, 0, answer)
  return writer
}

function writerFor(entries: readonly EntryRecord[], { fields, keep }: EntryAnswer): ProtoWriter {
  const known = keep && entries.length <= ENTRIES_PER_TURN
  let size = 16
  if (known) for (const entry of entries) size += keptEntrySize(entry, fields)
  return new ProtoWriter(known ? size : Math.min(entries.length, 10_000) * 256 + 1024)
}

function writePart(
  writer: ProtoWriter,
  entries: readonly EntryRecord[],
  start: number,
  { field, fields, keep }: EntryAnswer,
): void {
  const write = keep ? writeKeptEntry : writeEntry
  const end = Math.min(start + ENTRIES_PER_TURN, entries.length)
  for (let index = start; index < end; index++) write(writer, field, entries[index]!, fields)
}

/** What became of one entry of a batch. */
export interface EntryResult {
  readonly status: ItemStatus
  readonly entry?: EntryRecord | undefined
}

/** The answer to `BatchCreateEntry` and `BatchUpdateEntry`, without keeping the loop to itself. */
export async function encodeEntryResults(
  results: readonly EntryResult[],
  fields: EntryFieldSet,
): Promise<EncodedMessage> {
  const writer = new ProtoWriter(Math.min(results.length, 10_000) * 256 + 16)
  for (const [index, result] of results.entries()) {
    if (index > 0 && index % ENTRIES_PER_TURN === 0) await nextTurn()
    writer.message(1, result, (inner, { status, entry }) => {
      inner.message(1, status, writeStatus)
      if (entry !== undefined) writeEntry(inner, 2, entry, fields)
    })
  }
  return new EncodedMessage(writer.finish())
}
