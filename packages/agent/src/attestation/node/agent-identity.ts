import type { PrivateKey } from '@plastron/pki'
import { type Clock, GrpcError, type Logger, type TlsIdentity } from '@plastron/runtime'
import { type Bundle, type SpiffeId, type TrustDomain, verifyX509Svid } from '@plastron/spiffe'
import { AgentError, isAgentError, reasonOf } from '../../agent-error.ts'
import type { BootstrapConfig } from '../../config/agent-config.ts'
import type { KeyManager, ManagedKey } from '../../plugins/key-manager/key-manager.ts'
import type { NodeAttestor } from '../../plugins/node-attestor/node-attestor.ts'
import { ignoresTarget, renewalTime } from '../../renewal/renewal.ts'
import { restsOn } from '../../renewal/taint.ts'
import type { AgentState } from '../../storage/agent-state.ts'
import { Backoff } from '../../upstream/backoff.ts'
import { documentEnd } from '../../upstream/document-end.ts'
import { isUnknownAuthority, ServerConnection } from '../../upstream/server-connection.ts'
import type { ServerTime } from '../../upstream/server-time.ts'
import { type TrustBundle, trustBundleFromProto, untainted } from '../../upstream/trust-bundle.ts'
import { type AgentCertificate, agentRequest, attestAgent, certificateOf, checkAgentChain } from './attest-agent.ts'
import { bootstrapBundle } from './bootstrap-bundle.ts'

/** The agent's own identity. */
export interface OwnSvid {
  readonly id: SpiffeId
  /** Leaf first, without the root. */
  readonly chain: AgentCertificate['chain']
  readonly key: PrivateKey
  readonly keyId: string
  /** True if the node can prove itself again. */
  readonly reattestable: boolean
  /** By the server's clock. */
  readonly renewAt: Date
}

/** What an {@link AgentIdentity} works with. */
export interface AgentIdentityOptions {
  readonly trustDomain: TrustDomain
  readonly serverAddress: string
  readonly serverPort: number
  readonly bootstrap: BootstrapConfig
  readonly rebootstrapMode: 'never' | 'auto' | 'always'
  readonly rebootstrapDelayMs: number
  readonly availabilityTargetMs?: number | undefined
  readonly state: AgentState
  readonly keys: KeyManager
  readonly attestor: NodeAttestor
  readonly clock: Clock
  readonly time: ServerTime
  readonly log: Logger
  /** From 0 up to 1. */
  readonly random: () => number
  /** Told whenever the agent has another certificate, or none. */
  readonly onChange: () => void
}

const KEY_SLOTS = ['agent-svid-A', 'agent-svid-B'] as const
/** A certificate that ends within this time is not used any more at start. */
const EXPIRY_MARGIN_MS = 1000
/** Refusals that asking again does not change. */
const DEFINITIVE = new Set([
  'PERMISSION_DENIED',
  'INVALID_ARGUMENT',
  'FAILED_PRECONDITION',
  'UNIMPLEMENTED',
  'NOT_FOUND',
])

/**
 * The agent's own certificate over its whole life: kept from the last run, obtained by attestation, renewed before half of its life is over,
 * obtained anew when the server asks for that; and the bundle that servers are recognised by.
 */
export class AgentIdentity {
  readonly #options: AgentIdentityOptions
  #svid: OwnSvid | undefined
  #trust: TrustBundle | undefined
  #distrustSince: number | undefined
  #attempts = 0
  #rebootstrapping: boolean
  #startedAt: Date
  #mode: 'bootstrap' | 'rebootstrap' = 'bootstrap'

  constructor(options: AgentIdentityOptions) {
    this.#options = options
    this.#rebootstrapping = options.rebootstrapMode !== 'never'
    this.#startedAt = options.clock.now()
    const { bundle } = options.state.content
    this.#trust = bundle === undefined ? undefined : untainted(bundle)
  }

  /** The certificate in use. Undefined before the first attestation and after the server has removed this agent. */
  get svid(): OwnSvid | undefined {
    return this.#svid
  }

  /** The last bundle of the own trust domain, with its taints. */
  get trust(): TrustBundle | undefined {
    return this.#trust
  }

  /** What connections to the server present. */
  tlsIdentity(): TlsIdentity | undefined {
    const svid = this.#svid
    return svid && { key: svid.key, chain: svid.chain.map(({ der }) => der) }
  }

  /** A connection that presents the own certificate and verifies servers by the newest bundle. */
  connect(): ServerConnection {
    const bundle = () => this.#trust?.bundle
    if (bundle() === undefined)
      throw new AgentError('ERR_AGENT_BOOTSTRAP', 'there is no bundle to verify the server with')
    return this.#connection(bundle, () => this.tlsIdentity())
  }

  /**
   * Takes up the certificate of the last run (AGT-BOOT-006). False if there is none that can be used: the node has to be attested then.
   */
  async resume(): Promise<boolean> {
    const { state, keys, time, log, trustDomain } = this.#options
    const stored = state.content.svid
    if (stored === undefined) return false
    const key = await keys.getKey(stored.keyId)
    if (key === undefined) {
      log.warn('The key of the stored agent certificate is gone; the node will be attested again')
      return false
    }
    let certificate: AgentCertificate
    try {
      certificate = checkAgentChain(stored.chain, key.privateKey, trustDomain)
    } catch (error) {
      log.warn('The stored agent certificate cannot be used; the node will be attested again', {
        error: reasonOf(error),
      })
      return false
    }
    const { id, chain } = certificate
    const [leaf] = chain
    if (leaf.notAfter.getTime() <= time.now().getTime() + EXPIRY_MARGIN_MS) {
      log.warn('The stored agent certificate has expired; the node will be attested again', {
        expiration: leaf.notAfter,
      })
      return false
    }
    if (this.#trust === undefined) return false
    this.#adopt({ id, chain, key, reattestable: stored.reattestable })
    log.info('The stored agent certificate is used again', { spiffe_id: id.toString(), expiration: leaf.notAfter })
    return true
  }

  /**
   * Attests the node, again and again while the server cannot be reached (AGT-BOOT-004).
   *
   * @throws {@link AgentError} once the server has refused, or the node has nothing to prove itself with
   */
  async establish(signal: AbortSignal): Promise<void> {
    const { clock, log, random } = this.#options
    const backoff = new Backoff({ firstMs: 1000, factor: 1.5, maxMs: 15_000, jitter: 0.2, random })
    for (;;) {
      try {
        await this.attest(signal)
        return
      } catch (error) {
        signal.throwIfAborted()
        if (this.isDefinitive(error)) throw this.#refusal(error)
        const pause = backoff.next()
        log.warn('Failed to attest the node; it is tried again', { error: reasonOf(error), retry_in_ms: pause })
        await this.considerRebootstrap(error)
        await clock.sleep(pause, signal)
      }
    }
  }

  /** Attests the node once. On failure the old certificate stays. */
  async attest(signal: AbortSignal): Promise<void> {
    const { attestor, trustDomain, bootstrap, state, clock, log, serverAddress, serverPort } = this.#options
    this.#attempts += 1
    const attempt = {
      mode: this.#mode,
      connectionAttempts: this.#attempts,
      startedAt: this.#startedAt,
      serverAddress,
      serverPort,
    }
    const bundle = this.#trust?.bundle ?? (await bootstrapBundle(bootstrap, trustDomain, attempt, signal))
    if (bundle === undefined) log.warn('Insecure bootstrap: whoever answers at the address of the server is believed')
    using connection = this.#connection(() => bundle)
    try {
      const key = await this.#attestationKey()
      const exchange = await attestor.begin(signal)
      const { id, chain, reattestable } = await attestAgent(
        connection.agent,
        exchange,
        key.privateKey,
        trustDomain,
        signal,
      )
      const trust = trustBundleFromProto(await connection.bundle.getBundle({}, { signal }), trustDomain)
      await this.#verify(chain, trust.bundle)
      await state.update({
        svid: { chain, reattestable, keyId: key.id },
        bundle: trust.bundle,
        pendingKeyId: undefined,
      })
      this.#trust = trust
      this.#attempts = 0
      this.#distrustSince = undefined
      this.#startedAt = clock.now()
      this.#adopt({ id, chain, key, reattestable })
      log.info('Node attestation was successful', {
        spiffe_id: id.toString(),
        reattestable,
        expiration: chain[0].notAfter,
      })
    } catch (error) {
      throw connection.distrust ?? error
    }
  }

  /**
   * Whether the certificate is to be replaced now: it nears half of its life, or rests on an authority that is tainted or gone (AGT-ROT-002,
   * AGT-ROT-004).
   */
  async isRenewalDue(): Promise<boolean> {
    const svid = this.#svid
    if (svid === undefined) return false
    const now = this.#options.time.now()
    if (now >= svid.renewAt) return true
    const { taintedX509 = [], bundle } = this.#trust ?? {}
    if (await restsOn(svid.chain, taintedX509, now)) return true
    return bundle !== undefined && !(await restsOn(svid.chain, bundle.x509Authorities, now))
  }

  /** Replaces the certificate: by a new attestation if the node can, otherwise by asking the server with the old one (AGT-ROT-005). */
  async renew(connection: ServerConnection, signal: AbortSignal): Promise<void> {
    const current = this.#svid
    if (current === undefined) return
    if (current.reattestable) return this.attest(signal)
    const { keys, state, trustDomain, log } = this.#options
    const key = await keys.generateKey(this.#otherSlot(), 'ec-p256')
    const csr = await agentRequest(key.privateKey)
    const options = { signal, headers: documentEnd(current.chain[0].notAfter) }
    const { svid } = await connection.agent.renewAgent({ params: { csr } }, options)
    const { id, chain } = certificateOf(svid, key.privateKey, trustDomain)
    if (!id.equals(current.id)) {
      throw new AgentError('ERR_AGENT_SERVER_REPLY', `the server renewed ${current.id} as ${id}`)
    }
    await this.#verify(chain, this.#trust?.bundle)
    await state.update({ svid: { chain, reattestable: false, keyId: key.id } })
    this.#adopt({ id, chain, key, reattestable: false })
    log.info('The agent certificate was renewed', { spiffe_id: id.toString(), expiration: chain[0].notAfter })
  }

  /**
   * Takes up a newer bundle of the own trust domain and stores it if it changed (AGT-SYNC-011).
   *
   * @throws {@link AgentError} `ERR_AGENT_SERVER_REPLY` for one without X.509 authorities, with which no server would be found again
   */
  async setTrust(trust: TrustBundle): Promise<void> {
    if (trust.bundle.x509Authorities.length === 0) {
      throw new AgentError('ERR_AGENT_SERVER_REPLY', "the server's bundle of the trust domain has no X.509 authority")
    }
    const known = this.#trust?.bundle
    this.#trust = trust
    this.#distrustSince = undefined
    if (known?.equals(trust.bundle)) return
    await this.#options.state.update({ bundle: trust.bundle })
  }

  /** Forgets the own certificate, here and on disk, so that the next start attests anew (AGT-DISK-004). */
  async forget(): Promise<void> {
    this.#svid = undefined
    await this.#options.state.update({ svid: undefined, pendingKeyId: undefined })
    this.#options.onChange()
  }

  /**
   * After a failed call: if the server has presented an unknown authority for long enough and the agent may look for a new one, drops the bundle
   * (AGT-BOOT-009), so that the next attestation asks the configured source. True if it did.
   *
   * @throws {@link AgentError} `ERR_AGENT_BOOTSTRAP` in the mode `always` when the node cannot be attested again (AGT-BOOT-010)
   */
  async considerRebootstrap(error: unknown, distrust?: AgentError): Promise<boolean> {
    const { clock, log, rebootstrapMode, rebootstrapDelayMs, state } = this.#options
    const isUnknown = isUnknownAuthority(error, distrust ?? (error instanceof AgentError ? error : undefined))
    if (!isUnknown || this.#trust === undefined) return false
    if (!this.#rebootstrapping) {
      log.error(
        'The server presents an authority that is not in the bundle; with rebootstrap_mode "never" this stays so until the bundle is replaced by hand or the old authority returns',
      )
      return false
    }
    this.#distrustSince ??= clock.monotonic()
    if (clock.monotonic() - this.#distrustSince < rebootstrapDelayMs) {
      log.warn('The server presents an unknown authority', { rebootstrap_delay_ms: rebootstrapDelayMs })
      return false
    }
    if (state.content.svid?.reattestable === false) {
      if (rebootstrapMode === 'always') {
        throw new AgentError(
          'ERR_AGENT_BOOTSTRAP',
          'the server presents an unknown authority and this node cannot be attested again',
        )
      }
      log.warn('This node cannot be attested again: no new authority will be looked for')
      this.#rebootstrapping = false
      return false
    }
    log.warn('The trust bundle is dropped and fetched again from its configured source')
    this.#mode = 'rebootstrap'
    this.#distrustSince = undefined
    this.#trust = undefined
    this.#svid = undefined
    await state.update({ bundle: undefined, svid: undefined })
    this.#options.onChange()
    return true
  }

  /** True for a failure that does not go away by waiting. */
  isDefinitive(error: unknown): boolean {
    if (isAgentError(error, 'ERR_AGENT_BOOTSTRAP')) return this.#options.bootstrap.kind === 'file'
    if (isAgentError(error, 'ERR_AGENT_JOIN_TOKEN', 'ERR_AGENT_NODE_ATTESTATION', 'ERR_AGENT_STORAGE')) return true
    return error instanceof GrpcError && DEFINITIVE.has(error.code)
  }

  #refusal(error: unknown): unknown {
    if (!(error instanceof GrpcError)) return error
    const advice =
      this.#options.attestor.name === 'join_token'
        ? '. A join token can be spent once only: make a new one with "plastron-server token generate" and give it to this agent'
        : ''
    return new AgentError('ERR_AGENT_NODE_ATTESTATION', `the server refused this node: ${error.message}${advice}`, {
      cause: error,
    })
  }

  #connection(bundle: () => Bundle | undefined, identity?: () => TlsIdentity | undefined): ServerConnection {
    const { serverAddress, serverPort, trustDomain, clock, random } = this.#options
    return new ServerConnection({
      // Thousands of agents do not ask for signs of life in step.
      keepaliveMs: Math.round(23_000 + 2000 * random()),
      host: serverAddress,
      port: serverPort,
      trustDomain,
      bundle,
      identity: identity ?? (() => undefined),
      now: () => clock.now(),
    })
  }

  /**
   * The key that the next attestation is for. It is stored before the server hears of it, and used again if the agent was killed before it had
   * the answer: the server may have spent the join token on it, and gives it to no other key.
   */
  async #attestationKey(): Promise<ManagedKey> {
    const { keys, state } = this.#options
    const { pendingKeyId } = state.content
    const pending = pendingKeyId === undefined ? undefined : await keys.getKey(pendingKeyId)
    if (pending !== undefined) return pending
    const key = await keys.generateKey(this.#otherSlot(), 'ec-p256')
    await state.update({ pendingKeyId: key.id })
    return key
  }

  /** The slot that the certificate in use does not need (AGT-ROT-006). */
  #otherSlot(): string {
    const used = this.#svid?.keyId ?? this.#options.state.content.svid?.keyId
    return used === KEY_SLOTS[0] ? KEY_SLOTS[1] : KEY_SLOTS[0]
  }

  async #verify(chain: AgentCertificate['chain'], bundle: Bundle | undefined): Promise<void> {
    const { time } = this.#options
    time.observeNotBefore(chain[0].notBefore)
    try {
      if (bundle === undefined) throw new Error('there is no bundle')
      await verifyX509Svid(chain, bundle, { now: time.now() })
    } catch (cause) {
      throw new AgentError(
        'ERR_AGENT_SERVER_REPLY',
        `the agent certificate of the server cannot be used: ${reasonOf(cause)}`,
        { cause },
      )
    }
  }

  #adopt({ id, chain, key, reattestable }: AgentCertificate & { key: ManagedKey; reattestable: boolean }): void {
    const { availabilityTargetMs, random, log } = this.#options
    const [leaf] = chain
    if (ignoresTarget(leaf, availabilityTargetMs)) {
      log.warn('The availability target is ignored: the agent certificate lives less than 12 hours longer than it')
    }
    const renewAt = renewalTime(leaf, { random: random(), availabilityTargetMs })
    this.#svid = { id, chain, key: key.privateKey, keyId: key.id, reattestable, renewAt }
    this.#options.onChange()
  }
}
