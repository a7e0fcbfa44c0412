import type { DescMethod } from '@bufbuild/protobuf'
import { syncV1 } from '@plastron/api'
import { Certificate } from '@plastron/pki'
import {
  AddressSet,
  type Call,
  type Clock,
  callerKey,
  GrpcServer,
  type Interceptor,
  type ListenerError,
  type Logger,
  listenTls,
  listenUnix,
  type Peer,
  type TlsListener,
  type VerifiedIdentity,
} from '@plastron/runtime'
import { checkLeaf, type SpiffeId, type TrustDomain, verifyX509Svid } from '@plastron/spiffe'
import type { RegistryBundles } from './registry-bundles.ts'
import type { ServerSvid } from './server-svid.ts'

/** What the two endpoints are made from. */
export interface EndpointsOptions {
  readonly trustDomain: TrustDomain
  readonly adminIds: readonly SpiffeId[]
  readonly bindAddress: string
  readonly bindPort: number
  readonly socketPath: string
  readonly trustedProxies: readonly string[]
  readonly lock: { readonly held: boolean }
  readonly bundles: RegistryBundles
  readonly svid: ServerSvid
  readonly stages: readonly Interceptor[]
  /** Largest request of a method in bytes; undefined for the default. */
  readonly maxRequestBytesOf: (method: DescMethod) => number | undefined
  readonly log: Logger
  readonly clock: Clock
  /** Adds the services that both endpoints serve. */
  addServices(server: GrpcServer): void
  /** Adds what is for the private socket alone. */
  addLocalServices(server: GrpcServer): void
}

/** Connections without a stream for long are no use to anybody and cost memory (SRV-RUN-009). One with an agent's Watch has no age. */
const maxConnectionAgeMs = 180_000
const missingBundleLogMs = 60_000

/** The TCP endpoint for agents, administrators and downstream servers, and the private Unix socket. */
export class Endpoints implements AsyncDisposable {
  readonly #tcp: GrpcServer
  readonly #local: GrpcServer
  readonly #stack = new AsyncDisposableStack()
  #listener: TlsListener | undefined

  private constructor(tcp: GrpcServer, local: GrpcServer) {
    this.#tcp = tcp
    this.#local = local
  }

  /** Listens on both. @throws ListenerError for an address or a socket that cannot be had. */
  static async open(options: EndpointsOptions): Promise<Endpoints> {
    const onUnexpectedError = (error: unknown, call: Call) =>
      options.log.error('A call failed for a reason of ours', { method: call.path, error })
    const onRefused = (peer: Peer) =>
      options.log.warn('A caller has too many connections; another one was closed', { caller: callerKey(peer) })
    const common = { interceptors: options.stages, onUnexpectedError, onRefused }
    const tcp = new GrpcServer({
      ...common,
      safeguards: { maxConnectionAgeMs },
      maxRequestBytesOf: options.maxRequestBytesOf,
      lastingMethods: [syncV1.Sync.method.watch],
      clock: options.clock,
    })
    const local = new GrpcServer(common)
    options.addServices(tcp)
    options.addServices(local)
    options.addLocalServices(local)
    const endpoints = new Endpoints(tcp, local)
    try {
      await endpoints.#listen(options)
      return endpoints
    } catch (error) {
      await endpoints[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Where the TCP endpoint listens. */
  get address(): { readonly host: string; readonly port: number } {
    if (this.#listener === undefined) throw new Error('the endpoints are closed')
    return this.#listener.address
  }

  async #listen(options: EndpointsOptions): Promise<void> {
    const { svid, log } = options
    const verify = peerVerifier(options)
    const listener = await listenTls({
      host: options.bindAddress,
      port: options.bindPort,
      identity: svid.identity,
      verifyClient: verify,
      onConnection: (socket, peer) => this.#tcp.accept(socket, peer),
      onRefused: (error: ListenerError, address) => log.debug('A connection was refused', { address, error }),
      ...(options.trustedProxies.length === 0 ? {} : { trustedProxies: new AddressSet(options.trustedProxies) }),
    })
    this.#listener = listener
    this.#stack.use(listener)
    this.#stack.defer(svid.onRenewed(identity => listener.setIdentity(identity)))
    const unix = await listenUnix({
      path: options.socketPath,
      mode: 0o770,
      folderMode: 0o750,
      lock: options.lock,
      onConnection: (socket, peer) => this.#local.accept(socket, peer),
      onRefused: error => log.debug('A connection to the private socket was refused', { error }),
    })
    this.#stack.use(unix)
    log.info('Starting Server APIs', { address: `${listener.address.host}:${listener.address.port}`, network: 'tcp' })
    log.info('Starting Server APIs', { address: unix.path, network: 'unix' })
  }

  /** Stops accepting, lets calls finish until `grace` aborts, then ends everything. */
  async stop(grace: AbortSignal): Promise<void> {
    await this.#stack.disposeAsync()
    this.#listener = undefined
    await Promise.all([this.#tcp.stop(grace), this.#local.stop(grace)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(AbortSignal.abort())
  }
}

/**
 * Verifies a client's certificates against the bundle of its own trust domain, and lets in only members of ours and the
 * administrators of others by name (SRV-API-005).
 */
function peerVerifier({
  trustDomain,
  adminIds,
  bundles,
  clock,
  log,
}: EndpointsOptions): (chain: readonly Uint8Array[]) => Promise<VerifiedIdentity> {
  const foreignAdmins = new Set(adminIds.filter(id => !id.trustDomain.equals(trustDomain)).map(id => id.toString()))
  const missingLogged = new Map<string, number>()
  return async chain => {
    const [leaf] = chain
    if (leaf === undefined) throw new Error('the client presented no certificate')
    const checked = Certificate.parse(leaf)
    const claimed = checkLeaf(checked)
    // Decided by name before any signature is looked at: strangers cost next to nothing.
    if (!claimed.trustDomain.equals(trustDomain) && !foreignAdmins.has(claimed.toString())) {
      throw new Error(`${claimed} is neither a member of ${trustDomain} nor an administrator`)
    }
    if (bundles.getX509Bundle(claimed.trustDomain) === undefined) {
      const name = claimed.trustDomain.name
      const at = clock.now().getTime()
      if (at - (missingLogged.get(name) ?? 0) >= missingBundleLogMs) {
        missingLogged.set(name, at)
        log.warn(
          'No bundle found for foreign admin trust domain; admins from this trust domain will not be able to connect',
          { trust_domain: name },
        )
      }
    }
    const { id, expiresAt } = await verifyX509Svid(chain, bundles, { now: clock.now() })
    return { spiffeId: id, serialNumber: checked.serialNumber.toString(), notAfter: expiresAt }
  }
}
