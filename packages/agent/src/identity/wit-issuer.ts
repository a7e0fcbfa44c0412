import type { types } from '@plastron/api'
import { PrivateKey } from '@plastron/pki'
import { type Clock, GrpcError, untilAborted, withDeadline } from '@plastron/runtime'
import { isSpiffeError, WitSvid } from '@plastron/spiffe'
import { AgentError, reasonOf } from '../agent-error.ts'
import type { AgentEntry } from '../entries/agent-entry.ts'
import { renewalTime } from '../renewal/renewal.ts'
import type { ServerTime } from '../upstream/server-time.ts'
import type { IdentityStore } from './identity-store.ts'
import { LruMap } from './lru-map.ts'
import { SingleFlight } from './single-flight.ts'

/** A WIT-SVID that the agent holds for workloads. */
export interface WitDocument {
  readonly token: string
  /** The private key as JWK in JSON. */
  readonly keyJwk: string
  readonly keyId: string
  readonly expiresAt: Date
  /** When to replace it, by the server's clock. */
  readonly renewAt: Date
}

/** What the server says to a request. */
export interface WitResult {
  readonly status?: types.Status | undefined
  readonly svid?: types.WITSVID | undefined
}

/** What a {@link WitIssuer} works with. */
export interface WitIssuerOptions {
  readonly store: IdentityStore
  readonly clock: Clock
  readonly time: ServerTime
  /** From 0 up to 1. */
  readonly random: () => number
  readonly cacheSize: number
  /** Asks the server for a token. `endsAt`: when the one ends that it replaces. */
  readonly mint: (
    request: { readonly entryId: string; readonly publicKey: Uint8Array; readonly signingAlgorithm: string },
    signal: AbortSignal,
    endsAt?: Date,
  ) => Promise<WitResult | undefined>
  readonly refreshBundles: (signal: AbortSignal) => Promise<void>
  readonly onServerError: (error: unknown) => void
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal
}

const MINT_TIMEOUT_MS = 30_000

/** Gets WIT-SVIDs from the server, each with a key of its own, and keeps them until half of their life is over. */
export class WitIssuer {
  readonly #options: WitIssuerOptions
  readonly #held: LruMap<string, { readonly entry: AgentEntry; readonly document: WitDocument }>
  readonly #flights = new SingleFlight<string, WitDocument>()

  constructor(options: WitIssuerOptions) {
    this.#options = options
    this.#held = new LruMap(options.cacheSize)
  }

  /**
   * The WIT-SVID of an entry. A valid one is given out even when it could not be renewed.
   *
   * @throws {GrpcError} `UNIMPLEMENTED` if the server issues none
   * @throws {@link AgentError} `ERR_AGENT_NO_DOCUMENT`
   */
  async get(entry: AgentEntry, signal: AbortSignal): Promise<WitDocument> {
    const { time } = this.#options
    const held = this.#held.get(entry.id)
    const document = held?.entry === entry && held.document.expiresAt > time.now() ? held.document : undefined
    if (document !== undefined && time.now() < document.renewAt) return document
    const flight = this.#flights.run(`${entry.id}/${entry.revision}/${entry.createdAt}`, async () => {
      const minted = await this.#mint(entry, document?.expiresAt)
      // Asked for before the authority was tainted: another one is asked for next time.
      if (!this.#options.store.own?.taintedWitKeyIds.has(minted.keyId)) {
        this.#held.set(entry.id, { entry, document: minted })
      }
      return minted
    })
    try {
      return await untilAborted(flight, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (document === undefined) throw error
      return document
    }
  }

  /** Drops tokens that a tainted authority signed. Returns how many. */
  dropTainted(keyIds: ReadonlySet<string>): number {
    return this.#held.removeWhere(({ document }) => keyIds.has(document.keyId))
  }

  async #mint(entry: AgentEntry, endsAt: Date | undefined): Promise<WitDocument> {
    const { clock, mint, signal, onServerError } = this.#options
    try {
      return await withDeadline(
        clock,
        MINT_TIMEOUT_MS,
        'fetching the WIT-SVID',
        async inner => {
          const key = await PrivateKey.generate('ec-p256')
          const request = { entryId: entry.id, publicKey: key.publicKey.spki, signingAlgorithm: 'ES256' }
          return this.#read(await mint(request, inner, endsAt), entry, key, inner)
        },
        signal,
      )
    } catch (cause) {
      signal.throwIfAborted()
      onServerError(cause)
      if (cause instanceof GrpcError && cause.code === 'UNIMPLEMENTED') throw cause
      throw new AgentError(
        'ERR_AGENT_NO_DOCUMENT',
        `no WIT-SVID could be obtained for ${entry.spiffeId}: ${reasonOf(cause)}`,
        { cause },
      )
    }
  }

  async #read(
    result: WitResult | undefined,
    entry: AgentEntry,
    key: PrivateKey,
    signal: AbortSignal,
  ): Promise<WitDocument> {
    if (result?.status !== undefined && result.status.code !== 0) {
      throw new AgentError('ERR_AGENT_NO_DOCUMENT', `the server refused: ${result.status.message}`)
    }
    const { store, time, random, refreshBundles } = this.#options
    const reply = result?.svid
    const verify = async () => {
      if (reply === undefined || store.own === undefined) throw new Error('the answer is empty')
      return WitSvid.parseAndValidate(reply.token, store.own.bundle, { now: time.now() })
    }
    try {
      const svid = await verify().catch(async error => {
        if (!isSpiffeError(error, 'ERR_WIT_SVID_UNTRUSTED')) throw error
        await refreshBundles(signal)
        return verify()
      })
      if (!svid.id.equals(entry.spiffeId)) throw new Error(`it is for ${svid.id}`)
      if (!svid.publicKey.equals(key.publicKey)) throw new Error('it is not for the key that was sent')
      const issuedAt = Number(reply?.issuedAt ?? 0n) * 1000
      const notBefore = issuedAt > 0 && issuedAt < svid.expiresAt.getTime() ? new Date(issuedAt) : time.now()
      return {
        token: svid.marshal(),
        keyJwk: JSON.stringify(key.keyObject.export({ format: 'jwk' })),
        keyId: svid.keyId,
        expiresAt: svid.expiresAt,
        renewAt: renewalTime({ notBefore, notAfter: svid.expiresAt }, { random: random() }),
      }
    } catch (cause) {
      throw new AgentError(
        'ERR_AGENT_SERVER_REPLY',
        `the WIT-SVID that the server gave for entry ${entry.id} (${entry.spiffeId}) cannot be used: ${reasonOf(cause)}`,
        { cause },
      )
    }
  }
}
