import { type Clock, GrpcError, type Logger } from '@plastron/runtime'
import { AgentError, reasonOf } from '../../agent-error.ts'
import { Backoff } from '../../upstream/backoff.ts'
import { removalOf } from '../../upstream/removal.ts'
import type { ServerConnection } from '../../upstream/server-connection.ts'
import type { AgentIdentity } from './agent-identity.ts'

/** What a {@link ServerLink} works with. */
export interface ServerLinkOptions {
  readonly identity: AgentIdentity
  readonly clock: Clock
  readonly log: Logger
  /** From 0 up to 1. */
  readonly random: () => number
  /** The version that the server is told. */
  readonly version: string
  /** Whether a stream from the server is open, which shows that its connection works. */
  readonly isWatching: () => boolean
  /** The agent has no identity any more: nothing may be served on its behalf. */
  readonly onRemoved: () => void
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal
}

const ROTATION_CHECK_MS = 5000
const LONGEST_RETRY_MS = 30_000
/** No call that was begun with the certificate before is under way for longer. */
const CALL_TIMEOUT_MS = 30_000

/** The agent's standing with the server: attested, connected, renewed; and what happens when the server says otherwise. */
export class ServerLink implements Disposable {
  readonly #options: ServerLinkOptions
  readonly #lost = Promise.withResolvers<never>()
  #connection: ServerConnection | undefined
  #recovery: Promise<void> | undefined
  #renewal: Promise<void> | undefined
  /** When the certificate in use came, by the monotonic clock. */
  #certifiedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ServerLinkOptions) {
    this.#options = options
    this.#lost.promise.catch(() => undefined)
  }

  /** Rejects when this agent can go on no more: the server has removed it and it cannot come back by itself. */
  get lost(): Promise<never> {
    return this.#lost.promise
  }

  /** The connection in use. @throws {GrpcError} `UNAVAILABLE` before the node is attested */
  connection(): ServerConnection {
    if (this.#connection === undefined) throw new GrpcError('UNAVAILABLE', 'the agent is not attested yet')
    return this.#connection
  }

  /** Takes up the stored identity, or attests the node; then connects. @throws {@link AgentError} */
  async establish(): Promise<void> {
    const { identity, signal } = this.#options
    if (!(await identity.resume())) await identity.establish(signal)
    this.#connect()
    void this.#postStatus()
  }

  /** The agent's certificate has changed: later calls present the new one. */
  reconnect(): void {
    this.#certifiedAtMs = this.#options.clock.monotonic()
    this.#connection?.reconnect()
  }

  /** Renews the agent's certificate whenever that is due, until the agent stops (AGT-ROT-001). */
  async runRotation(): Promise<void> {
    const { identity, clock, log, random, signal } = this.#options
    const backoff = new Backoff({
      firstMs: ROTATION_CHECK_MS,
      factor: 1.5,
      maxMs: LONGEST_RETRY_MS,
      jitter: 0.2,
      random,
    })
    while (!signal.aborted) {
      let pause = this.#untilRenewal()
      try {
        if (await identity.isRenewalDue()) await this.#renew()
        backoff.reset()
      } catch (error) {
        if (signal.aborted) return
        pause = backoff.next()
        log.error('Failed to renew the agent certificate', {
          error: reasonOf(error),
          expiration: identity.svid?.chain[0].notAfter,
        })
        await this.failed(error)
      }
      await clock.sleep(pause, signal).catch(() => undefined)
    }
  }

  /**
   * To be told about every call to the server that failed. If the failure says that this agent is not welcome any more, it is attested anew; if
   * that is refused, the agent forgets its identity and {@link lost} rejects. Resolves when that is settled; never rejects.
   */
  failed(error: unknown): Promise<void> {
    // How soon to try again is decided by those who call; the connection's own pauses would only come on top.
    // A connection that carries a stream is not given up because of one call.
    const isLost = error instanceof GrpcError && error.code === 'UNAVAILABLE' && !this.#options.isWatching()
    if (isLost) this.#connection?.reconnect()
    this.#recovery ??= this.#recover(error)
      .catch(reason => {
        if (!this.#options.signal.aborted) this.#lost.reject(reason)
      })
      .finally(() => {
        this.#recovery = undefined
      })
    return this.#recovery
  }

  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]()
    this.#connection = undefined
  }

  async #recover(error: unknown): Promise<void> {
    const { identity, log, signal } = this.#options
    const removal = removalOf(error)
    if (removal === 'banned') return this.#leave('the server has banned this agent', error)
    if (removal === 'reattest') {
      if (await this.#isAccepted()) return
      log.warn('The server does not accept this agent any more; the node is attested anew', { error: reasonOf(error) })
      try {
        await identity.establish(signal)
      } catch (cause) {
        signal.throwIfAborted()
        return this.#leave(
          `the server does not accept this agent any more, and attesting it anew failed: ${reasonOf(cause)}`,
          cause,
        )
      }
      this.#connection?.reconnect()
      void this.#postStatus()
    } else if (await identity.considerRebootstrap(error, this.#connection?.distrust)) {
      await identity.establish(signal)
      this.#connect()
      void this.#postStatus()
    }
  }

  #renew(): Promise<void> {
    const { identity, signal } = this.#options
    this.#renewal = identity.renew(this.connection(), signal).finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  /**
   * Whether a refusal was for the certificate before: attesting anew takes that one's place, and ends its calls and its stream before the agent has the new
   * one in hand. With a certificate that has just come, the server is asked what it thinks of it.
   */
  async #isAccepted(): Promise<boolean> {
    const { clock, signal, version } = this.#options
    await this.#renewal?.catch(() => undefined)
    if (clock.monotonic() - this.#certifiedAtMs > CALL_TIMEOUT_MS) return false
    try {
      await this.connection().agent.postStatus({ agentVersion: version }, { signal })
      return true
    } catch (error) {
      signal.throwIfAborted()
      // Of a server that cannot be asked now nothing is known: the next call will tell.
      return removalOf(error) === undefined
    }
  }

  async #leave(message: string, cause: unknown): Promise<never> {
    this.#options.onRemoved()
    await this.#options.identity.forget()
    throw new AgentError('ERR_AGENT_REMOVED', message, { cause })
  }

  #connect(): void {
    const previous = this.#connection
    this.#connection = this.#options.identity.connect()
    previous?.[Symbol.dispose]()
  }

  /** A failure is only logged (AGT-BOOT-013). */
  async #postStatus(): Promise<void> {
    const { version, signal, log } = this.#options
    try {
      await this.connection().agent.postStatus({ agentVersion: version }, { signal })
    } catch (error) {
      if (!signal.aborted) log.warn('Failed to post the status of the agent', { error: reasonOf(error) })
    }
  }

  #untilRenewal(): number {
    const { identity, clock } = this.#options
    const renewAt = identity.svid?.renewAt.getTime() ?? Number.POSITIVE_INFINITY
    return Math.max(250, Math.min(ROTATION_CHECK_MS, renewAt - clock.now().getTime()))
  }
}
