import type { MessageInitShape } from '@bufbuild/protobuf'
import type { entryV1, types } from '@plastron/api'
import { GrpcError, type ServiceClient } from '@plastron/runtime'
import type { TrustDomain } from '@plastron/spiffe'
import { AgentError } from '../agent-error.ts'
import { type AgentEntry, entryFromProto, entryMask } from '../entries/agent-entry.ts'
import { RequestQueue } from './request-queue.ts'

/** Entries by id. */
export type EntryMap = ReadonlyMap<string, AgentEntry>

/** What {@link EntrySync} needs. */
export interface EntrySyncOptions {
  readonly client: () => ServiceClient<typeof entryV1.Entry>
  readonly trustDomain: TrustDomain
  /** Told about each entry that is left out because it makes no sense (AGT-SYNC-007). */
  readonly onMalformed: (error: AgentError) => void
  /** False: always the full list (AGT-CFG-054). */
  readonly useSync: boolean
}

const TIMEOUT_MS = 30_000
/** Bounds what a server can make the agent hold. */
const MAX_ENTRIES = 1_000_000

/** Asks the server for the entries that concern this agent. */
export class EntrySync {
  readonly #options: EntrySyncOptions
  #useSync: boolean

  constructor(options: EntrySyncOptions) {
    this.#options = options
    this.#useSync = options.useSync
  }

  /**
   * The entries as the server has them now. Those that did not change are the same objects as in `held`.
   *
   * @throws {GrpcError} of the call
   * @throws {@link AgentError} `ERR_AGENT_SERVER_REPLY`
   */
  async fetch(held: EntryMap, signal: AbortSignal): Promise<EntryMap> {
    if (this.#useSync) {
      try {
        return await this.#sync(held, signal)
      } catch (error) {
        if (!(error instanceof GrpcError && error.code === 'UNIMPLEMENTED')) throw error
        // An old server. It is asked for the full list from now on.
        this.#useSync = false
      }
    }
    return this.#full(held, signal)
  }

  async #full(held: EntryMap, signal: AbortSignal): Promise<EntryMap> {
    const options = { signal, timeoutMs: TIMEOUT_MS }
    const { entries } = await this.#options.client().getAuthorizedEntries({ outputMask: entryMask }, options)
    const read = new Map<string, AgentEntry>()
    this.#read(entries, held, read)
    return read
  }

  /** The server's first answer is the full list, or page by page what it has in which revision; then the agent asks for what it lacks. */
  async #sync(held: EntryMap, signal: AbortSignal): Promise<EntryMap> {
    const requests = new RequestQueue<MessageInitShape<typeof entryV1.SyncAuthorizedEntriesRequestSchema>>()
    requests.push({ outputMask: entryMask })
    const answers = this.#options
      .client()
      .syncAuthorizedEntries(requests, { signal, timeoutMs: TIMEOUT_MS })
      [Symbol.asyncIterator]()
    try {
      const first = await nextAnswer(answers)
      const read = new Map<string, AgentEntry>()
      if (first.entryRevisions.length === 0) {
        await this.#readPages(first, answers, held, read)
        return read
      }
      const missing = await this.#readRevisions(first, answers, held, read)
      missing.sort()
      for (let at = 0; at < missing.length; at += first.entryRevisions.length) {
        requests.push({ ids: missing.slice(at, at + first.entryRevisions.length) })
        await this.#readPages(await nextAnswer(answers), answers, held, read)
      }
      return read
    } finally {
      requests.end()
      await answers.return?.()
    }
  }

  /** Keeps what is held in the same revision, and returns the ids of the others. */
  async #readRevisions(
    first: entryV1.SyncAuthorizedEntriesResponse,
    answers: AsyncIterator<entryV1.SyncAuthorizedEntriesResponse>,
    held: EntryMap,
    read: Map<string, AgentEntry>,
  ): Promise<string[]> {
    const missing = new Set<string>()
    for (let page = first; ; page = await nextAnswer(answers)) {
      if (page.entries.length > 0) throw reply('entries where revisions belong')
      for (const { id, revisionNumber, createdAt } of page.entryRevisions) {
        if (id === '' || revisionNumber < 0n) {
          this.#options.onMalformed(reply('a revision without id, or below zero'))
          continue
        }
        const entry = held.get(id)
        if (entry !== undefined && isCurrent(entry, revisionNumber, createdAt)) read.set(id, entry)
        else missing.add(id)
      }
      if (missing.size + read.size > MAX_ENTRIES) throw reply(`more than ${MAX_ENTRIES} entries`)
      if (!page.more) return [...missing]
    }
  }

  async #readPages(
    first: entryV1.SyncAuthorizedEntriesResponse,
    answers: AsyncIterator<entryV1.SyncAuthorizedEntriesResponse>,
    held: EntryMap,
    read: Map<string, AgentEntry>,
  ): Promise<void> {
    for (let page = first; ; page = await nextAnswer(answers)) {
      if (page.entryRevisions.length > 0) throw reply('revisions where entries belong')
      this.#read(page.entries, held, read)
      if (!page.more) return
    }
  }

  #read(entries: readonly types.Entry[], held: EntryMap, into: Map<string, AgentEntry>): void {
    for (const message of entries) {
      const known = held.get(message.id)
      if (known !== undefined && isCurrent(known, message.revisionNumber, message.createdAt)) {
        into.set(known.id, known)
        continue
      }
      try {
        into.set(message.id, entryFromProto(message, this.#options.trustDomain))
      } catch (error) {
        if (!(error instanceof AgentError)) throw error
        this.#options.onMalformed(error)
      }
      if (into.size > MAX_ENTRIES) throw reply(`more than ${MAX_ENTRIES} entries`)
    }
  }
}

/** Whether a held entry is in the state that the server tells. Servers before 1.12 do not tell when an entry was created: then it is 0. */
export function isCurrent(entry: AgentEntry, revision: bigint, createdAt: bigint): boolean {
  return entry.revision === revision && (createdAt === 0n || entry.createdAt === createdAt)
}

async function nextAnswer(
  answers: AsyncIterator<entryV1.SyncAuthorizedEntriesResponse>,
): Promise<entryV1.SyncAuthorizedEntriesResponse> {
  const next = await answers.next()
  if (next.done) throw reply('the answer ended before it was complete')
  return next.value
}

function reply(what: string): AgentError {
  return new AgentError('ERR_AGENT_SERVER_REPLY', `the server's list of entries cannot be used: ${what}`)
}
