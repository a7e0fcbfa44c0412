import { createHash } from 'node:crypto'
import type { types } from '@plastron/api'
import { type Clock, GrpcError, type Logger, untilAborted, withDeadline } from '@plastron/runtime'
import { isSpiffeError, type JwtSvid, verifyJwtSvid } from '@plastron/spiffe'
import { AgentError, reasonOf } from '../agent-error.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import { renewalTime } from '../renewal/renewal.ts'
import type { ServerTime } from '../upstream/server-time.ts'
import type { IdentityStore } from './identity-store.ts'
import { LruMap } from './lru-map.ts'
import { SingleFlight } from './single-flight.ts'

/** A JWT-SVID that the agent got. Immutable. */
export interface JwtDocument {
  readonly token: string
  readonly keyId: string | undefined
  readonly expiresAt: Date
  readonly renewAt: Date
}

/** What a {@link JwtIssuer} works with. */
export interface JwtIssuerOptions {
  readonly store: IdentityStore
  readonly clock: Clock
  readonly time: ServerTime
  readonly log: Logger
  /** From 0 up to 1. */
  readonly random: () => number
  /** How many tokens are held at most (AGT-CACHE-011). */
  readonly cacheSize: number
  /** How long a renewal may take while a valid token is held (AGT-CFG-051). */
  readonly hitTimeoutMs: number
  /** Asks the server for a token. `endsAt`: when the one ends that it replaces. */
  readonly mint: (
    entryId: string,
    audience: readonly string[],
    signal: AbortSignal,
    endsAt?: Date,
  ) => Promise<types.JWTSVID | undefined>
  /** Asks the server for its newest bundles and puts them into the store. */
  readonly refreshBundles: (signal: AbortSignal) => Promise<void>
  readonly onServerError: (error: unknown) => void
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal
}

const MINT_TIMEOUT_MS = 30_000
/** A caller with a valid token waits no longer than this for a newer one. */
const PATIENCE_MS = 1000
/** Failures that asking again within the same call does not change (AGT-SYNC-010). */
const FINAL = new Set([
  'UNKNOWN',
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'INVALID_ARGUMENT',
  'UNIMPLEMENTED',
  'PERMISSION_DENIED',
  'NOT_FOUND',
])

/** Gets JWT-SVIDs from the server and keeps them for whoever asks for the same identity and audiences again. */
export class JwtIssuer {
  readonly #options: JwtIssuerOptions
  readonly #held: LruMap<string, JwtDocument>
  readonly #flights = new SingleFlight<string, JwtDocument>()

  constructor(options: JwtIssuerOptions) {
    this.#options = options
    this.#held = new LruMap(options.cacheSize)
  }

  /** How many tokens are held. */
  get count(): number {
    return this.#held.size
  }

  /**
   * The tokens of these entries, in their order, if all of them are held and none is due to be renewed. Undefined if not: then {@link get} them.
   */
  held(entries: readonly AgentEntry[], audience: readonly string[]): readonly JwtDocument[] | undefined {
    const now = this.#options.time.now()
    const wanted = normalized(audience)
    const documents: JwtDocument[] = []
    for (const entry of entries) {
      const document = entry.jwtWithId ? undefined : this.#held.get(cacheKey(entry, wanted))
      if (document === undefined || document.expiresAt <= now || document.renewAt <= now) return undefined
      documents.push(document)
    }
    return documents
  }

  /**
   * A token of an entry's identity for these audiences, in whatever order. A held one is given out until half of its life is over
   * (AGT-CACHE-012); then a newer one is asked for, and if that does not come soon the held one is given out as long as it is valid.
   *
   * @throws {@link AgentError} `ERR_AGENT_NO_DOCUMENT`
   */
  async get(entry: AgentEntry, audience: readonly string[], signal: AbortSignal): Promise<JwtDocument> {
    const { time, log } = this.#options
    const wanted = normalized(audience)
    // A token with an id must not be given out twice.
    if (entry.jwtWithId) return untilAborted(this.#mint(entry, wanted, MINT_TIMEOUT_MS), signal)
    const key = cacheKey(entry, wanted)
    const held = this.#held.get(key)
    const valid = held !== undefined && held.expiresAt > time.now() ? held : undefined
    if (valid !== undefined && time.now() < valid.renewAt) return valid
    const timeoutMs = valid === undefined ? MINT_TIMEOUT_MS : this.#options.hitTimeoutMs
    const flight = this.#flights.run(key, async () => {
      const minted = await this.#mint(entry, wanted, timeoutMs, valid?.expiresAt)
      // Asked for before the authority was tainted: another one is asked for next time.
      if (!this.#options.store.own?.taintedJwtKeyIds.has(minted.keyId ?? '')) this.#held.set(key, minted)
      return minted
    })
    if (valid === undefined) return untilAborted(flight, signal)
    try {
      const patience = Math.min(PATIENCE_MS, timeoutMs)
      return await withDeadline(this.#options.clock, patience, 'renewing the JWT-SVID', () => flight, signal)
    } catch (error) {
      signal.throwIfAborted()
      log.warn('Failed to renew a JWT-SVID; the held one is given out', {
        spiffe_id: entry.spiffeId.toString(),
        error: reasonOf(error),
        expiration: valid.expiresAt,
      })
      return valid
    }
  }

  /** Drops tokens that a tainted authority signed (AGT-CACHE-009). Returns how many. */
  dropTainted(keyIds: ReadonlySet<string>): number {
    return this.#held.removeWhere(({ keyId }) => keyId !== undefined && keyIds.has(keyId))
  }

  async #mint(entry: AgentEntry, audience: readonly string[], timeoutMs: number, endsAt?: Date): Promise<JwtDocument> {
    const { clock, signal } = this.#options
    try {
      return await withDeadline(
        clock,
        timeoutMs,
        'fetching the JWT-SVID',
        inner => this.#attempts(entry, audience, inner, endsAt),
        signal,
      )
    } catch (cause) {
      signal.throwIfAborted()
      this.#options.onServerError(cause)
      throw new AgentError(
        'ERR_AGENT_NO_DOCUMENT',
        `no JWT-SVID could be obtained for ${entry.spiffeId}: ${reasonOf(cause)}`,
        { cause },
      )
    }
  }

  async #attempts(
    entry: AgentEntry,
    audience: readonly string[],
    signal: AbortSignal,
    endsAt?: Date,
  ): Promise<JwtDocument> {
    const { mint, clock } = this.#options
    for (let pause = 1000; ; pause *= 1.5) {
      try {
        return await this.#read(await mint(entry.id, audience, signal, endsAt), entry, audience, signal)
      } catch (error) {
        if (!(error instanceof GrpcError) || FINAL.has(error.code)) throw error
        await clock.sleep(pause, signal).catch(() => {
          throw error
        })
      }
    }
  }

  /** Checks that a token is what was asked for and verifies. */
  async #read(
    reply: types.JWTSVID | undefined,
    entry: AgentEntry,
    audience: readonly string[],
    signal: AbortSignal,
  ): Promise<JwtDocument> {
    if (reply === undefined || reply.issuedAt <= 0n || reply.expiresAt <= 0n || reply.issuedAt > reply.expiresAt) {
      throw refused(entry, 'it does not say when it was issued and when it ends')
    }
    const { store, time, random, refreshBundles } = this.#options
    time.observe(new Date(Number(reply.issuedAt) * 1000))
    const verify = async (): Promise<JwtSvid> => {
      const bundle = store.own?.bundle
      if (bundle === undefined) throw refused(entry, 'there is no bundle to verify it with')
      return verifyJwtSvid(reply.token, bundle, { audience, now: time.now() })
    }
    let svid: JwtSvid
    try {
      svid = await verify().catch(async error => {
        if (!isSpiffeError(error, 'ERR_JWT_SVID_UNTRUSTED')) throw error
        await refreshBundles(signal)
        return verify()
      })
    } catch (cause) {
      if (cause instanceof AgentError) throw cause
      throw refused(entry, reasonOf(cause), cause)
    }
    if (!svid.id.equals(entry.spiffeId)) throw refused(entry, `it is for ${svid.id}`)
    if (!audience.every(name => svid.audience.includes(name))) throw refused(entry, 'it lacks an audience')
    const notBefore = new Date(Number(reply.issuedAt) * 1000)
    const renewAt = renewalTime({ notBefore, notAfter: svid.expiresAt }, { random: random() })
    return { token: reply.token, keyId: svid.keyId, expiresAt: svid.expiresAt, renewAt }
  }
}

/** Each audience once, in one order. */
function normalized(audience: readonly string[]): readonly string[] {
  return audience.length === 1 ? audience : [...new Set(audience)].sort()
}

/** Longer keys are replaced by their digest. */
const MAX_KEY_LENGTH = 300

/** Entry, identity and audiences (AGT-CACHE-010), at a bounded length however long they are. */
function cacheKey(entry: AgentEntry, audience: readonly string[]): string {
  const text = JSON.stringify([entry.id, entry.spiffeId.toString(), String(entry.createdAt), ...audience])
  return text.length <= MAX_KEY_LENGTH ? text : createHash('sha256').update(text).digest('base64')
}

function refused(entry: AgentEntry, reason: string, cause?: unknown): AgentError {
  return new AgentError(
    'ERR_AGENT_SERVER_REPLY',
    `the JWT-SVID that the server gave for entry ${entry.id} (${entry.spiffeId}) cannot be used: ${reason}`,
    { cause },
  )
}
