import type { AgentEntry } from '../entries/agent-entry.ts'
import type { X509Document } from './x509-document.ts'

/** What is known of the X509-SVID of one entry. Times are of the monotonic clock, in milliseconds. */
export interface X509Slot {
  /** The entry as it was when {@link document} was issued. */
  entry: AgentEntry
  document: X509Document | undefined
  issuedAtMs: number
  /** The document rests on a tainted authority. */
  tainted: boolean
  /** How many attempts have failed since the last one that did not. */
  failures: number
  failure: string | undefined
  retryAtMs: number
  /** Counts up with every new workload of the entry. */
  lastAccess: number
  /** The server has been asked, and has not answered yet. */
  isAsked: boolean
}

export function emptySlot(entry: AgentEntry): X509Slot {
  return {
    entry,
    document: undefined,
    issuedAtMs: 0,
    tainted: false,
    failures: 0,
    failure: undefined,
    retryAtMs: 0,
    lastAccess: 0,
    isAsked: false,
  }
}

/** A document that has ended is replaced no sooner than this after it came. */
const SHORTEST_USE_MS = 5000

/**
 * Never sooner than a tenth of its life after it came is a document renewed, unless it has to be replaced for what it is. One that has ended by the
 * server's time is of no use to anybody: the monotonic clock stands still while a machine sleeps, and must not make it wait.
 */
export function earliestRenewalMs({ document, issuedAtMs }: X509Slot, now: Date): number {
  if (document === undefined) return 0
  const shortestMs = document.lifeMs / 10
  return issuedAtMs + (now < document.notAfter ? shortestMs : Math.min(shortestMs, SHORTEST_USE_MS))
}

/** Whether an entry needs another document whatever the time is: it has none, has changed since, or its authority is tainted. */
export function needsDocument(slot: X509Slot, entry: AgentEntry): boolean {
  return slot.document === undefined || slot.entry !== entry || slot.tainted
}
