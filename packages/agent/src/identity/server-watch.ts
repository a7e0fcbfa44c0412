import { enumToJson } from '@bufbuild/protobuf'
import { type Timestamp, timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt'
import { syncV1 } from '@plastron/api'
import { type Clock, GrpcError, type Logger, untilAborted } from '@plastron/runtime'
import { AgentError, reasonOf } from '../agent-error.ts'
import { Backoff } from '../upstream/backoff.ts'
import { removalOf } from '../upstream/removal.ts'
import type { ServerConnection } from '../upstream/server-connection.ts'
import type { ServerTime } from '../upstream/server-time.ts'
import type { TrustBundle } from '../upstream/trust-bundle.ts'
import {
  positionFromProto,
  positionToProto,
  type SyncPosition,
  type WatchUpdate,
  WatchUpdates,
} from '../upstream/watch-updates.ts'
import type { IdentityStore } from './identity-store.ts'
import { PositionWaiters } from './position-waiters.ts'

/** What a {@link ServerWatch} works with. */
export interface ServerWatchOptions {
  readonly store: IdentityStore
  readonly connection: () => ServerConnection
  readonly clock: Clock
  readonly time: ServerTime
  readonly log: Logger
  /** From 0 up to 1. */
  readonly random: () => number
  /** The version that the server is told. */
  readonly version: string
  /** Told about each entry or bundle that is left out because it makes no sense. */
  readonly onMalformed: (error: AgentError) => void
  /** Told the newest bundle of the own trust domain before it is used. */
  readonly onTrust: (trust: TrustBundle) => Promise<void>
}

/** A server that says nothing for so long on a new stream is given up. */
const FIRST_MESSAGE_MS = 30_000
const POSITION_TIMEOUT_MS = 3000

/**
 * Follows what the server pushes, and puts each snapshot and delta into the store once it is complete. Where it has come to is remembered in
 * memory, so that the next stream tells only what happened since.
 */
export class ServerWatch {
  readonly #options: ServerWatchOptions
  readonly #waiters = new PositionWaiters()
  #position: SyncPosition | undefined
  /** The stream that is followed, and the one that is to take its place. */
  #current: AbortController | undefined
  #next: AbortController | undefined
  #isLive = false
  #hasSpoken = false
  #end: ((error: unknown) => void) | undefined
  #session: AbortSignal | undefined

  constructor(options: ServerWatchOptions) {
    this.#options = options
  }

  /** Whether a stream is open that has brought the store up to the server's state. */
  get isLive(): boolean {
    return this.#isLive
  }

  /** Whether the last {@link run} has brought anything. */
  get hasSpoken(): boolean {
    return this.#hasSpoken
  }

  /** What the store holds; undefined before the first snapshot. */
  get position(): SyncPosition | undefined {
    return this.#position
  }

  /** The next stream begins with a snapshot: the store has been filled from elsewhere. */
  forget(): void {
    this.#position = undefined
  }

  /**
   * Opens a stream and follows it until it ends, or the signal is aborted.
   *
   * @throws {GrpcError} why it ended; `UNIMPLEMENTED` from a server that cannot push
   * @throws {AgentError} `ERR_AGENT_SERVER_REPLY` when what came cannot be used
   */
  async run(signal: AbortSignal): Promise<never> {
    const ended = Promise.withResolvers<never>()
    const session = new AbortController()
    const both = AbortSignal.any([signal, session.signal])
    this.#session = both
    this.#end = ended.reject
    this.#hasSpoken = false
    let reason: unknown
    try {
      void this.#follow(this.#open())
      return await untilAborted(ended.promise, signal)
    } catch (error) {
      reason = error
      throw error
    } finally {
      this.#session = undefined
      this.#end = undefined
      this.#isLive = false
      session.abort()
      this.#current = undefined
      this.#next = undefined
      this.#waiters.fail(reason)
    }
  }

  /**
   * The agent shows another certificate from now on: a new stream is opened on a new connection, and takes the place of the old one as soon as
   * it says something. Does nothing while no stream is open.
   */
  takeOver(): void {
    const session = this.#session
    if (session === undefined) return
    // A stream that has not said anything yet, on the old connection, need not be waited for.
    this.#next?.abort()
    this.#next = undefined
    void this.#handOver(session)
  }

  /**
   * Resolves when the store holds everything that the server had when this was called.
   *
   * @throws {GrpcError} why the stream ended meanwhile, and those of the call
   * @throws the signal's reason
   */
  async catchUp(signal: AbortSignal): Promise<void> {
    if (!this.#isLive) return this.#waiters.live(signal)
    const options = { signal, timeoutMs: POSITION_TIMEOUT_MS }
    const { position, serverTime } = await this.#options.connection().sync.getPosition({}, options)
    this.#observe(serverTime)
    await this.#waiters.reached(positionFromProto(position), this.#position, signal)
  }

  /** Whether a stream is being opened that has not brought anything yet. */
  get isOpening(): boolean {
    return this.#session !== undefined && !this.#isLive
  }

  /** Tries until a stream on the new connection speaks, or the old one ends. */
  async #handOver(session: AbortSignal): Promise<void> {
    const { clock, log, random } = this.#options
    const backoff = new Backoff({ firstMs: 1000, factor: 2, maxMs: 15_000, jitter: 1, random })
    for (;;) {
      const stream = this.#open()
      const error = await this.#follow(stream)
      const isOver = session.aborted || this.#current === undefined || this.#next !== undefined
      if (error === undefined || isOver) return
      log.warn('The stream on the new connection failed; the old one goes on meanwhile', { error: reasonOf(error) })
      await clock.sleep(backoff.next(), session).catch(() => undefined)
      if (session.aborted || this.#next !== undefined) return
    }
  }

  #open(): AbortController {
    const stream = new AbortController()
    this.#next = stream
    return stream
  }

  /** Follows a stream to its end. Resolves with what ended it if that was no reason to end everything. */
  async #follow(stream: AbortController): Promise<unknown> {
    const session = this.#session
    if (session === undefined) return undefined
    const signal = AbortSignal.any([session, stream.signal])
    try {
      await this.#read(stream, signal)
      throw new GrpcError('UNAVAILABLE', 'the server ended the stream')
    } catch (error) {
      if (signal.aborted && !stream.signal.aborted) return undefined
      const wasNext = this.#next === stream
      const wasCurrent = this.#current === stream
      if (wasNext) this.#next = undefined
      if (wasCurrent) {
        this.#current = undefined
        this.#isLive = false
      }
      if (!wasNext && !wasCurrent) return undefined
      const other = this.#current ?? this.#next
      if (other === undefined || removalOf(error) !== undefined) this.#end?.(error)
      return error
    }
  }

  async #read(stream: AbortController, signal: AbortSignal): Promise<void> {
    const { clock, connection, log, store, version, onMalformed } = this.#options
    const updates = new WatchUpdates({ trustDomain: store.trustDomain, held: () => store.entries, onMalformed })
    const held = this.#position
    const request = {
      ...(held === undefined ? {} : { position: positionToProto(held) }),
      agent: { version, time: timestampFromDate(clock.now()) },
    }
    const silence = new AbortController()
    const heard = new AbortController()
    void clock.sleep(FIRST_MESSAGE_MS, AbortSignal.any([signal, heard.signal])).then(
      () => silence.abort(new GrpcError('UNAVAILABLE', `the server said nothing for ${FIRST_MESSAGE_MS} ms`)),
      () => undefined,
    )
    try {
      const messages = connection().sync.watch(request, { signal: AbortSignal.any([signal, silence.signal]) })
      for await (const message of messages) {
        heard.abort()
        this.#observe(message.serverTime)
        if (this.#next === stream) {
          this.#next = undefined
          const previous = this.#current
          this.#current = stream
          previous?.abort()
        }
        if (message.content.case === 'snapshotBegin') {
          const name = enumToJson(syncV1.SnapshotBegin_ReasonSchema, message.content.value.reason)
          log.debug('The server tells everything anew', { reason: name })
        }
        const update = updates.take(message)
        if (update !== undefined) await this.#apply(update, stream)
        if (this.#current !== stream) return
      }
    } finally {
      heard.abort()
    }
  }

  async #apply(update: WatchUpdate, stream: AbortController): Promise<void> {
    const { store, onTrust } = this.#options
    const { kind, position, bundles } = update
    if (kind === 'delta' && !this.#follows(position)) return
    const own = bundles.get(store.trustDomain.name) ?? store.own
    if (own === undefined) throw reply('it has not told the bundle of the trust domain')
    if (own !== store.own) await onTrust(own)
    // While the bundle was stored another stream may have taken over, which tells the same.
    if (this.#current !== stream) return
    if (kind === 'snapshot') store.apply(update.entries, own, foreignBundles(bundles, store))
    else store.applyChanges(update, own)
    this.#position = position
    this.#spoken(position)
  }

  /**
   * Whether a delta that leads to this position is to be applied: one that leads to where the store has been already, by the stream before,
   * holds nothing new.
   */
  #follows(position: SyncPosition): boolean {
    const held = this.#position
    if (held?.history !== position.history) {
      this.#position = undefined
      throw reply('a change of another history than the one held')
    }
    if (position.number >= held.number) return true
    this.#spoken(held)
    return false
  }

  #spoken(position: SyncPosition): void {
    this.#isLive = true
    this.#hasSpoken = true
    this.#waiters.tell(position)
  }

  #observe(serverTime: Timestamp | undefined): void {
    if (serverTime !== undefined) this.#options.time.observe(timestampDate(serverTime))
  }
}

/** The bundles of other trust domains, by name in ascending order. */
function foreignBundles(
  bundles: ReadonlyMap<string, TrustBundle>,
  { trustDomain }: IdentityStore,
): ReadonlyMap<string, TrustBundle> {
  const foreign = [...bundles].filter(([name]) => name !== trustDomain.name)
  return new Map(foreign.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function reply(what: string): AgentError {
  return new AgentError('ERR_AGENT_SERVER_REPLY', `what the server pushes cannot be used: ${what}`)
}
