/** What the test asks of the process with the agents, over IPC; each is answered with a {@link Report}. */
export type Order =
  /** Attest so many more agents, each with its entries, connect them and get them their documents. */
  | { readonly kind: 'attest'; readonly count: number; readonly offsetMs: number }
  /** Connect every agent again, all at once, and bring it to where it should be. */
  | { readonly kind: 'recover'; readonly offsetMs: number }

/** How it went. */
export interface Report {
  readonly agents: number
  /** Milliseconds from the order until half of the agents, and the last one, were as they should be. */
  readonly medianMs: number
  readonly lastMs: number
  /** What is left of the shortest-lived document at the moment when its agent came back, in milliseconds; below 0: it had ended. */
  readonly smallestMarginMs: number
  /** Attempts that failed and were made again, by reason. */
  readonly failures: Readonly<Record<string, number>>
  /** Agents follow a push stream; otherwise they polled once. */
  readonly push: boolean
}
