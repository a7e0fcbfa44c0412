import type { syncV1 } from '@plastron/api'
import { type EncodedMessage, GrpcError, type Metrics } from '@plastron/runtime'
import type { Commit, Position } from '../datastore/index.ts'
import type { CommitEffects, Registry } from '../registration/index.ts'
import { bundlesNamed, federatedNames, missedSince } from './catch-up.ts'
import { ChangeRing } from './change-ring.ts'
import { CommitDeltas } from './commit-deltas.ts'
import { Delta, NOTHING } from './delta.ts'
import { isOfHistory } from './position.ts'
import { type SnapshotReason, snapshotMessages } from './watch-message.ts'
import { Watcher, type WatcherOwner, type WatchOptions } from './watcher.ts'

/** Streams that one agent may have open: the old and the new one of a renewal, and some that are not yet known to be dead. */
const MAX_WATCHES_PER_AGENT = 4
/** How long snapshots for streams that all need one are made before others get their turn, in milliseconds. */
const TURN_MS = 4

/** What a hub is made from. */
export interface SyncHubOptions {
  readonly registry: Registry
  readonly ownTrustDomain: string
  readonly now: () => Date
  readonly metrics: Metrics
  /** Changes that are kept for agents that come back. Default: 16,384. */
  readonly keptChanges?: number | undefined
}

/** Names in metrics. */
const STREAMS = ['sync', 'watch_streams']
const SNAPSHOTS = ['sync', 'snapshots']

/**
 * Tells agents what concerns them as it changes. What a commit means is worked out once and only for the agents that it
 * touches; an agent that comes back is told what it missed, or everything anew where that cannot be or costs more.
 */
export class SyncHub implements WatcherOwner, Disposable {
  readonly #registry: Registry
  readonly #ownTrustDomain: string
  readonly #now: () => Date
  readonly #metrics: Metrics
  readonly #ring: ChangeRing
  readonly #watchers = new Map<string, Watcher[]>()
  readonly #stopChanges: () => void
  #stopCommits: (() => void) | undefined
  #count = 0
  #toWake: Watcher[] = []
  #turn: NodeJS.Immediate | undefined
  #empty: Delta | undefined

  constructor(options: SyncHubOptions) {
    this.#registry = options.registry
    this.#ownTrustDomain = options.ownTrustDomain
    this.#now = options.now
    this.#metrics = options.metrics
    this.#ring = new ChangeRing(options.registry.position.number, options.keptChanges)
    this.#stopChanges = options.registry.onChanges((commit, entries) => this.#ring.add(commit, entries))
  }

  /** The position of everything that is told from now on. */
  get position(): Position {
    return this.#registry.position
  }

  /** Streams that are open. */
  get watcherCount(): number {
    return this.#count
  }

  /**
   * Opens a stream. Whoever reads it must end it by `return`, as `for await` does. It ends by itself with
   * {@link WatchOptions.denied} when the agent is banned, evicted or replaced, and with `ABORTED` when the agent opens too
   * many others.
   *
   * @param position - what the agent holds already; undefined: nothing
   */
  watch(options: WatchOptions, position: syncV1.Position | undefined): Watcher {
    const { agentId } = options
    const watcher = new Watcher(this, options)
    const open = this.#watchers.get(agentId) ?? []
    const oldest = open.length >= MAX_WATCHES_PER_AGENT ? open[0] : undefined
    oldest?.end(new GrpcError('ABORTED', `the agent has more than ${MAX_WATCHES_PER_AGENT} streams open`))
    this.#watchers.set(agentId, [...(this.#watchers.get(agentId) ?? []), watcher])
    this.#counted(1)
    this.#stopCommits ??= this.#registry.onCommit((commit, _touched, effects) => this.#committed(commit, effects))
    // What let the agent in was asked of the datastore, and may be older than a ban that the registry knows already.
    const refusal = this.#refusal(watcher)
    if (refusal !== undefined) {
      watcher.end(refusal)
      return watcher
    }
    const missed = this.#missed(watcher, position)
    if (missed instanceof Delta) watcher.push(missed)
    else watcher.tellAnew(missed)
    return watcher
  }

  /**
   * The position now. Streams of the agent that have not been told of it are, without delay.
   */
  catchUp(agentId: string): Position {
    const { position } = this
    for (const watcher of this.#watchers.get(agentId) ?? []) {
      if (!watcher.awaitsSnapshot && watcher.told < position.number) watcher.push(this.#emptyDelta())
    }
    return position
  }

  /** For {@link Watcher} alone. */
  snapshot(watcher: Watcher, reason: SnapshotReason): Iterator<EncodedMessage> {
    this.#metrics.incrementCounter(SNAPSHOTS, { reason: reason.toLowerCase() })
    const entries = this.#registry.authorizedEntries(watcher.agentId)
    const names = federatedNames(entries)
    watcher.federatesWith = names
    watcher.told = this.position.number
    const bundles = bundlesNamed(this.#registry, [this.#ownTrustDomain, ...(names ?? [])])
    return snapshotMessages(reason, { entries, bundles, position: this.position }, this.#now)
  }

  /** For {@link Watcher} alone. */
  now(): Date {
    return this.#now()
  }

  /** For {@link Watcher} alone. */
  closed(watcher: Watcher): void {
    this.#counted(-1)
    const left = (this.#watchers.get(watcher.agentId) ?? []).filter(other => other !== watcher)
    if (left.length > 0) this.#watchers.set(watcher.agentId, left)
    else this.#watchers.delete(watcher.agentId)
    if (this.#watchers.size > 0) return
    this.#stopCommits?.()
    this.#stopCommits = undefined
  }

  /** Ends all streams with `UNAVAILABLE` and follows the registry no more. */
  [Symbol.dispose](): void {
    this.#stopChanges()
    for (const watchers of this.#watchers.values()) {
      for (const watcher of watchers) watcher.end(new GrpcError('UNAVAILABLE', 'the server is stopping'))
    }
    this.#stopCommits?.()
    if (this.#turn !== undefined) clearImmediate(this.#turn)
    this.#toWake = []
  }

  #counted(more: number): void {
    this.#count += more
    this.#metrics.setGauge(STREAMS, this.#count)
  }

  /** What a new stream begins with: what was missed since a position, or why everything is told. */
  #missed(watcher: Watcher, position: syncV1.Position | undefined): Delta | SnapshotReason {
    const head = this.position
    if (position === undefined) return 'INITIAL'
    if (!isOfHistory(position, head.history)) return 'HISTORY_CHANGED'
    if (position.number > BigInt(head.number)) return 'AHEAD'
    const number = Number(position.number)
    if (number !== head.number && number < this.#ring.floor) return 'TOO_OLD'
    const present = this.#registry.authorizedEntries(watcher.agentId)
    const missed = missedSince(number, watcher.agentId, present, {
      registry: this.#registry,
      ring: this.#ring,
      ownTrustDomain: this.#ownTrustDomain,
    })
    if (missed === 'too-many') return 'TOO_OLD'
    if (missed === 'changed') return 'AGENT_CHANGED'
    watcher.federatesWith = federatedNames(present)
    return new Delta(missed, head)
  }

  #committed(commit: Commit, effects: CommitEffects): void {
    for (const change of commit.changes) {
      if (change.aggregate === 'agent' && change.number !== undefined) this.#agentChanged(change.id)
    }
    for (const agent of effects.outgrown) this.#tellAnew(agent)
    const deltas = new CommitDeltas({
      commit,
      groups: effects.groups(Math.floor(this.#now().getTime() / 1000)),
      watching: this.#watchers,
      ownTrustDomain: this.#ownTrustDomain,
      bundle: name => this.#registry.bundle(name),
    })
    const agents = deltas.hasBundles ? this.#watchers.keys() : deltas.agents
    for (const agent of agents) {
      for (const watcher of this.#watchers.get(agent) ?? []) {
        if (watcher.awaitsSnapshot) continue
        const delta = deltas.deltaFor(agent, new FederatedNamesOf(watcher))
        if (delta !== undefined) watcher.push(delta)
      }
    }
  }

  #agentChanged(id: string): void {
    for (const watcher of this.#watchers.get(id) ?? []) {
      const refusal = this.#refusal(watcher)
      if (refusal !== undefined) watcher.end(refusal)
    }
    this.#tellAnew(id)
  }

  /** Why the agent may not have a stream under this certificate, if it may not. */
  #refusal(watcher: Watcher): Error | undefined {
    const agent = this.#registry.agent(watcher.agentId)
    if (agent === undefined) return watcher.denied('AGENT_NOT_ATTESTED')
    if (agent.serial === '') return watcher.denied('AGENT_BANNED')
    if (watcher.serial === agent.serial || watcher.serial === agent.newSerial) return undefined
    return watcher.denied('AGENT_NOT_ACTIVE')
  }

  #tellAnew(agent: string): void {
    for (const watcher of this.#watchers.get(agent) ?? []) {
      if (watcher.awaitsSnapshot) continue
      watcher.tellAnew('AGENT_CHANGED')
      this.#toWake.push(watcher)
    }
    if (this.#toWake.length > 0) this.#turn ??= setImmediate(() => this.#wakeSome())
  }

  /** Snapshots for many at once are made in turns: each costs as much as its agent has entries. */
  #wakeSome(): void {
    this.#turn = undefined
    const end = performance.now() + TURN_MS
    let count = 0
    while (count < this.#toWake.length && (count === 0 || performance.now() < end)) this.#toWake[count++]!.wake()
    this.#toWake = this.#toWake.slice(count)
    if (this.#toWake.length > 0) this.#turn = setImmediate(() => this.#wakeSome())
  }

  #emptyDelta(): Delta {
    const { position } = this
    if (this.#empty?.position !== position) this.#empty = new Delta(NOTHING, position)
    return this.#empty
  }
}

/** A watcher's foreign bundles, without a set as long as there are none. */
class FederatedNamesOf {
  readonly #watcher: Watcher

  constructor(watcher: Watcher) {
    this.#watcher = watcher
  }

  has(name: string): boolean {
    return this.#watcher.federatesWith?.has(name) ?? false
  }

  add(name: string): void {
    this.#watcher.federatesWith ??= new Set()
    this.#watcher.federatesWith.add(name)
  }

  delete(name: string): void {
    this.#watcher.federatesWith?.delete(name)
  }
}
