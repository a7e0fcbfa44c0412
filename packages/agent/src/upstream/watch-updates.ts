import type { syncV1, types } from '@plastron/api'
import { TrustDomain } from '@plastron/spiffe'
import { AgentError, reasonOf } from '../agent-error.ts'
import { type AgentEntry, entryFromProto } from '../entries/agent-entry.ts'
import { type EntryMap, isCurrent } from './entry-sync.ts'
import { type TrustBundle, trustBundleFromProto } from './trust-bundle.ts'

/** A place in a server's log of changes. Numbers compare only within one history. */
export interface SyncPosition {
  /** Lower-case hex. */
  readonly history: string
  readonly number: bigint
}

/** Everything that a server tells the agent at a position, or what has changed since the one before. Complete: no part of it is missing. */
export interface WatchUpdate {
  readonly kind: 'snapshot' | 'delta'
  readonly position: SyncPosition
  /** New, changed, or in a snapshot all, by id. */
  readonly entries: ReadonlyMap<string, AgentEntry>
  /** Ids of entries that are to go. Empty in a snapshot. */
  readonly removed: ReadonlySet<string>
  /** New, changed, or in a snapshot all, by the name of their trust domain. */
  readonly bundles: ReadonlyMap<string, TrustBundle>
  /** Names of trust domains whose bundles are to go. Empty in a snapshot. */
  readonly removedBundles: ReadonlySet<string>
}

/** What a {@link WatchUpdates} needs. */
export interface WatchUpdatesOptions {
  readonly trustDomain: TrustDomain
  /** What the agent holds: entries that come again as they were stay the same objects. */
  readonly held: () => EntryMap
  /** Told about each entry or bundle that is left out because it makes no sense (AGT-SYNC-007). */
  readonly onMalformed: (error: AgentError) => void
}

/** Bounds what a server can make the agent hold: entries and ids of one update, and bundles of it. */
const MAX_ENTRIES = 1_000_000
const MAX_BUNDLES = 10_000

/** The parts of an update that have come so far. */
interface Parts {
  readonly kind: WatchUpdate['kind']
  readonly entries: Map<string, AgentEntry>
  readonly removed: Set<string>
  readonly bundles: Map<string, TrustBundle>
  readonly removedBundles: Set<string>
  entryCount: number
  bundleCount: number
}

/** Puts the messages of one stream together. What is not complete when the stream ends is dropped with this object. */
export class WatchUpdates {
  readonly #options: WatchUpdatesOptions
  #parts: Parts | undefined

  constructor(options: WatchUpdatesOptions) {
    this.#options = options
  }

  /**
   * Takes the next message. Returns the update that it completes, if it completes one.
   *
   * @throws {@link AgentError} `ERR_AGENT_SERVER_REPLY` when parts are missing, mixed up or too many: nothing more of this stream may be used
   */
  take({ content }: syncV1.WatchResponse): WatchUpdate | undefined {
    switch (content.case) {
      case 'snapshotBegin':
        this.#parts = noParts('snapshot')
        return undefined
      case 'snapshotChunk': {
        const parts = this.#part('snapshot')
        this.#readEntries(parts, content.value.entries)
        this.#readBundles(parts, content.value.bundles)
        return undefined
      }
      case 'snapshotEnd':
        return this.#endSnapshot(content.value)
      case 'delta':
        return this.#readDelta(content.value)
      default:
        // Something that a later version says.
        return undefined
    }
  }

  #endSnapshot({ position, entryCount, bundleCount }: syncV1.SnapshotEnd): WatchUpdate {
    const parts = this.#part('snapshot')
    if (BigInt(parts.entryCount) !== entryCount || BigInt(parts.bundleCount) !== bundleCount) {
      throw reply(
        `of ${entryCount} entries and ${bundleCount} bundles ${parts.entryCount} and ${parts.bundleCount} have come`,
      )
    }
    if (!parts.bundles.has(this.#options.trustDomain.name)) throw reply('the bundle of the trust domain is missing')
    return this.#complete(parts, position)
  }

  #readDelta({
    position,
    more,
    entries,
    removedEntryIds,
    bundles,
    removedBundles,
  }: syncV1.Delta): WatchUpdate | undefined {
    this.#parts ??= noParts('delta')
    const parts = this.#part('delta')
    this.#readEntries(parts, entries)
    this.#readBundles(parts, bundles)
    for (const id of removedEntryIds) {
      parts.entries.delete(id)
      parts.removed.add(id)
    }
    for (const name of removedBundles) {
      parts.bundles.delete(name)
      parts.removedBundles.add(name)
    }
    if (parts.removed.size > MAX_ENTRIES) throw reply(`more than ${MAX_ENTRIES} entries`)
    if (parts.removedBundles.size > MAX_BUNDLES) throw reply(`more than ${MAX_BUNDLES} bundles`)
    return more ? undefined : this.#complete(parts, position)
  }

  #part(kind: WatchUpdate['kind']): Parts {
    if (this.#parts?.kind !== kind) throw reply(`a part of a ${kind} where none belongs`)
    return this.#parts
  }

  #complete(parts: Parts, position: syncV1.Position | undefined): WatchUpdate {
    this.#parts = undefined
    const { kind, entries, removed, bundles, removedBundles } = parts
    return { kind, position: positionFromProto(position), entries, removed, bundles, removedBundles }
  }

  #readEntries(parts: Parts, messages: readonly types.Entry[]): void {
    parts.entryCount += messages.length
    if (parts.entryCount > MAX_ENTRIES) throw reply(`more than ${MAX_ENTRIES} entries`)
    const held = this.#options.held()
    for (const message of messages) {
      try {
        const known = held.get(message.id)
        const entry =
          known !== undefined && isCurrent(known, message.revisionNumber, message.createdAt)
            ? known
            : entryFromProto(message, this.#options.trustDomain)
        parts.entries.set(entry.id, entry)
        parts.removed.delete(entry.id)
      } catch (error) {
        if (!(error instanceof AgentError)) throw error
        this.#options.onMalformed(error)
        // What cannot be read replaces what could: the agent must not go on with a state of the entry that is over.
        parts.entries.delete(message.id)
        if (parts.kind === 'delta' && message.id !== '') parts.removed.add(message.id)
      }
    }
  }

  #readBundles(parts: Parts, messages: readonly types.Bundle[]): void {
    parts.bundleCount += messages.length
    if (parts.bundleCount > MAX_BUNDLES) throw reply(`more than ${MAX_BUNDLES} bundles`)
    const { trustDomain, onMalformed } = this.#options
    for (const message of messages) {
      try {
        const name = domainOf(message)
        const bundle = trustBundleFromProto(message, name)
        parts.bundles.set(name.name, bundle)
        parts.removedBundles.delete(name.name)
      } catch (error) {
        // Without its own bundle an agent can do nothing; without another one it keeps the last state of that.
        if (!(error instanceof AgentError) || message.trustDomain === trustDomain.name) throw error
        onMalformed(error)
      }
    }
  }
}

/** @throws {@link AgentError} `ERR_AGENT_SERVER_REPLY` for a position that says nothing */
export function positionFromProto(message: syncV1.Position | undefined): SyncPosition {
  if (message === undefined || message.historyId.length === 0) throw reply('a position is missing')
  return { history: Buffer.from(message.historyId).toString('hex'), number: message.number }
}

/** The fields of a position as the server is told it. */
export function positionToProto({ history, number }: SyncPosition): {
  readonly historyId: Uint8Array
  readonly number: bigint
} {
  return { historyId: Buffer.from(history, 'hex'), number }
}

function domainOf({ trustDomain }: types.Bundle): TrustDomain {
  try {
    return TrustDomain.parse(trustDomain)
  } catch (cause) {
    throw new AgentError('ERR_AGENT_SERVER_REPLY', `a bundle of the server cannot be used: ${reasonOf(cause)}`, {
      cause,
    })
  }
}

function noParts(kind: WatchUpdate['kind']): Parts {
  return {
    kind,
    entries: new Map(),
    removed: new Set(),
    bundles: new Map(),
    removedBundles: new Set(),
    entryCount: 0,
    bundleCount: 0,
  }
}

function reply(what: string): AgentError {
  return new AgentError('ERR_AGENT_SERVER_REPLY', `what the server pushes cannot be used: ${what}`)
}
