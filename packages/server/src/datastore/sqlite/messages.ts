import type { Commit } from '../changes.ts'
import { DatastoreError, type DatastoreErrorCode } from '../errors.ts'
import type { Command } from './group-commit.ts'

/** What the worker opens. */
export interface WorkerOptions {
  readonly path: string
  readonly busyTimeoutMs: number
}

/** To the worker. */
export type ToWorker =
  /** The first message, and sent once. */
  | { readonly kind: 'open'; readonly options: WorkerOptions }
  | { readonly kind: 'command'; readonly command: Command }
  | { readonly kind: 'backup'; readonly id: number; readonly path: string }
  | { readonly kind: 'close' }

/** An error on its way between threads, where classes get lost. */
export interface PlainError {
  readonly code: DatastoreErrorCode
  readonly message: string
}

type PlainReply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly error: PlainError }

/** From the worker. */
export type FromWorker =
  | {
      readonly kind: 'open'
      readonly history: string
      readonly newHistoryBecause: string | undefined
      readonly backedUpTo: string | undefined
    }
  | { readonly kind: 'refused'; readonly error: PlainError }
  | {
      readonly kind: 'done'
      readonly replies: readonly PlainReply[]
      readonly commit: Commit | undefined
      readonly unreadable: readonly string[]
    }
  | { readonly kind: 'closed' }

/** What of an error crosses between threads. */
export function plainError(error: DatastoreError): PlainError {
  return { code: error.code, message: error.message }
}

/** The error again, on the other side. */
export function fromPlainError(error: PlainError): DatastoreError {
  return new DatastoreError(error.code, error.message)
}

/** Makes the errors inside a reply's value (the outcomes of a batch, a refusal) plain. */
export function plainValue(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(item => (isFailure(item) ? { ok: false, error: plainError(item.error) } : item))
  }
  return isRefusal(value) ? { refused: plainError(value.refused) } : value
}

/** The opposite of {@link plainValue}. */
export function fromPlainValue(value: unknown): unknown {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index]
      if (isObject(item) && item.ok === false && 'error' in item) {
        value[index] = { ok: false, error: fromPlainError(item.error as PlainError) }
      }
    }
  }
  return value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isFailure(value: unknown): value is { ok: false; error: DatastoreError } {
  return isObject(value) && value.ok === false && value.error instanceof DatastoreError
}

function isRefusal(value: unknown): value is { refused: DatastoreError } {
  return isObject(value) && value.refused instanceof DatastoreError
}
