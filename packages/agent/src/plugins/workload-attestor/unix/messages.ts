import type { NameKind, NameSources } from './name-database.ts'

/** What the worker is started with. */
export interface FileWorkerOptions {
  readonly names: NameSources
}

/** A question to the worker. */
export type FileQuestion =
  | { readonly id: number; readonly kind: 'name'; readonly database: NameKind; readonly number: number }
  | {
      readonly id: number
      readonly kind: 'sha256'
      readonly path: string
      readonly maxBytes: number
      readonly timeoutMs: number
    }

/** The worker's answer to the question of the same id. */
export type FileAnswer =
  | { readonly id: number; readonly value: string | undefined }
  | { readonly id: number; readonly error: string }
