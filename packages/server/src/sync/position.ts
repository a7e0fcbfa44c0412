import type { syncV1 } from '@plastron/api'
import type { Position } from '../datastore/index.ts'

/** The id of a history as the API writes it: the 16 bytes of its UUID. */
export function historyBytes(history: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(history.replaceAll('-', ''), 'hex'))
}

/** Whether a position of the API is of this history. */
export function isOfHistory(position: syncV1.Position, history: string): boolean {
  return Buffer.from(historyBytes(history)).equals(position.historyId)
}

/** A position as a message. */
export function positionMessage({ history, number }: Position): { historyId: Uint8Array<ArrayBuffer>; number: bigint } {
  return { historyId: historyBytes(history), number: BigInt(number) }
}
