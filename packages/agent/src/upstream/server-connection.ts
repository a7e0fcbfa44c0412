import { agentV1, bundleV1, entryV1, svidV1, syncV1 } from '@plastron/api'
import { Certificate } from '@plastron/pki'
import { type Channel, connectMutualTls, GrpcError, type ServiceClient, type TlsIdentity } from '@plastron/runtime'
import {
  type Bundle,
  isSpiffeError,
  SpiffeId,
  spiffeIdFromCertificate,
  type TrustDomain,
  verifyX509Svid,
} from '@plastron/spiffe'
import { AgentError, reasonOf } from '../agent-error.ts'

/** Where the server is and how it is recognised. */
export interface ServerConnectionOptions {
  readonly host: string
  readonly port: number
  readonly trustDomain: TrustDomain
  /** Asked before every connection for the agent's own certificate; undefined: none is shown. */
  readonly identity: () => TlsIdentity | undefined
  /**
   * Asked before every connection. Undefined from the beginning on: the server's chain is not verified, only its name is looked at (AGT-CFG-019).
   */
  readonly bundle: () => Bundle | undefined
  readonly now: () => Date
  /** Silence after which the server is asked for a sign of life while a call is open, in milliseconds. Default 24,000. */
  readonly keepaliveMs?: number | undefined
  /** A server that gives no such sign for so long is dead, in milliseconds. Default 5,000. */
  readonly keepaliveTimeoutMs?: number | undefined
}

/** The connection to a server of the trust domain. It connects when the first call needs it, and again when it was lost. */
export class ServerConnection implements Disposable {
  readonly agent: ServiceClient<typeof agentV1.Agent>
  readonly bundle: ServiceClient<typeof bundleV1.Bundle>
  readonly entry: ServiceClient<typeof entryV1.Entry>
  readonly svid: ServiceClient<typeof svidV1.SVID>
  readonly sync: ServiceClient<typeof syncV1.Sync>
  readonly #channel: Channel
  readonly #options: ServerConnectionOptions
  #distrust: AgentError | undefined
  #establishedCount = 0

  constructor(options: ServerConnectionOptions) {
    this.#options = options
    this.#channel = connectMutualTls({
      host: options.host,
      port: options.port,
      identity: options.identity,
      keepaliveMs: options.keepaliveMs ?? 24_000,
      keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 5000,
      // TLS checks the chain too; a bootstrap without a bundle has nothing to check it with.
      ...(options.bundle() === undefined ? {} : { roots: () => authoritiesOf(options) }),
      verifyServer: chain => this.#verify(chain),
    })
    this.agent = this.#channel.client(agentV1.Agent)
    this.bundle = this.#channel.client(bundleV1.Bundle)
    this.entry = this.#channel.client(entryV1.Entry)
    this.svid = this.#channel.client(svidV1.SVID)
    this.sync = this.#channel.client(syncV1.Sync)
  }

  /** Why the last connection attempt was given up, if what answered was not a trusted server; undefined once one was. */
  get distrust(): AgentError | undefined {
    return this.#distrust
  }

  /** How often a connection to a trusted server was made. */
  get establishedCount(): number {
    return this.#establishedCount
  }

  /** Makes later calls use a new connection, with the certificate of that moment. */
  reconnect(): void {
    this.#channel.reconnect()
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]()
  }

  async #verify(chain: readonly Uint8Array[]): Promise<void> {
    try {
      await verifyServer(chain, this.#options)
      this.#distrust = undefined
      this.#establishedCount += 1
    } catch (error) {
      this.#distrust = error instanceof AgentError ? error : undefined
      throw error
    }
  }
}

function authoritiesOf({ bundle, trustDomain }: ServerConnectionOptions): Uint8Array[] {
  const authorities = bundle()?.x509Authorities ?? []
  if (authorities.length === 0) {
    throw new AgentError('ERR_AGENT_SERVER_UNTRUSTED', `the bundle of ${trustDomain} has no X.509 authority`)
  }
  return authorities.map(({ der }) => der)
}

/**
 * Checks that a TLS peer is a server of the trust domain: it presents `spiffe://<trust domain>/spire/server` (AGT-BOOT-015), verified against the
 * bundle of the own trust domain. Without a bundle only the name is checked.
 *
 * @throws {@link AgentError} `ERR_AGENT_SERVER_UNTRUSTED`
 */
async function verifyServer(
  chain: readonly Uint8Array[],
  { trustDomain, bundle, now }: Pick<ServerConnectionOptions, 'trustDomain' | 'bundle' | 'now'>,
): Promise<void> {
  const expected = SpiffeId.fromSegments(trustDomain, 'spire', 'server')
  try {
    const trusted = bundle()
    const [leaf] = chain
    if (leaf === undefined) throw new Error('it presented no certificate')
    const id =
      trusted === undefined
        ? spiffeIdFromCertificate(Certificate.parse(leaf))
        : (await verifyX509Svid(chain, trusted, { now: now() })).id
    if (!id.equals(expected)) throw new Error(`it is ${id}`)
  } catch (cause) {
    throw new AgentError('ERR_AGENT_SERVER_UNTRUSTED', `what answers is not ${expected}: ${reasonOf(cause)}`, { cause })
  }
}

/** What OpenSSL says of a chain that ends in no authority it was given. */
const UNKNOWN_ISSUER =
  /self[- ]signed certificate|unable to get (local )?issuer certificate|unable to verify the first certificate/i

/** True when a call failed because the server's certificate ends in no authority that the agent trusts (AGT-BOOT-009). */
export function isUnknownAuthority(error: unknown, distrust: AgentError | undefined): boolean {
  if (isSpiffeError(distrust?.cause, 'ERR_X509_SVID_UNTRUSTED')) return true
  return error instanceof GrpcError && error.code === 'UNAVAILABLE' && UNKNOWN_ISSUER.test(error.message)
}
