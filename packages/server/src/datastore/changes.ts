import type { AgentRecord, BundleRecord, EntryRecord, FederationRelationshipRecord } from './records.ts'

/**
 * A place in the one ordered history of a datastore. Numbers have no gaps and are in commit order; they compare only
 * within one history. A database that was restored or swapped is another history.
 */
export interface Position {
  readonly history: string
  readonly number: number
}

interface ChangeOf<Kind extends string, Value> {
  readonly aggregate: Kind
  readonly id: string
  /** Place of this change; undefined for what takes no number (renewals, versions and status of agents). */
  readonly number: number | undefined
  /** The state after the change, undefined when it was removed. Never older than the change. */
  readonly value: Value | undefined
}

/** One thing that changed, with its state. */
export type Change =
  | ChangeOf<'entry', EntryRecord>
  | ChangeOf<'agent', AgentRecord>
  | ChangeOf<'bundle', BundleRecord>
  | ChangeOf<'federation', FederationRelationshipRecord>

/** Changes that became durable together, in order. */
export interface Commit {
  /** The position after them. */
  readonly position: Position
  readonly changes: readonly Change[]
}

/** Answer to {@link ChangeFeed.after}: `too-old` and `other-history` mean that only a snapshot helps. */
export type ChangesAfter =
  | { readonly kind: 'changes'; readonly commit: Commit; readonly more: boolean }
  | { readonly kind: 'too-old' | 'other-history' | 'ahead'; readonly position: Position }

/** The ordered change feed. */
export interface ChangeFeed {
  /** The position of the last durable change. */
  head(): Promise<Position>
  /** Numbered changes after a position, oldest first, at most `limit`. */
  after(position: Position, limit: number): Promise<ChangesAfter>
  /**
   * Calls the listener with every commit, in commit order, once each, before the write that made it resolves.
   * The listener must not throw and must not wait. Returns how to stop.
   */
  onCommit(listener: (commit: Commit) => void): () => void
  /** Forgets change rows made before the given second, but always keeps the newest `keep`. Returns how many went. */
  prune(olderThanSeconds: number, keep: number): Promise<number>
}
