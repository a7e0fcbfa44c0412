import type { MessageInitShape } from '@bufbuild/protobuf'
import { create } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { agentV1, bundleV1, entryV1, svidV1, syncV1, types } from '@plastron/api'
import { Certificate, CertificateRequest, PublicKey } from '@plastron/pki'
import {
  type Call,
  type Clock,
  GrpcError,
  GrpcServer,
  type Handlers,
  listenTls,
  type TlsListener,
} from '@plastron/runtime'
import { checkLeaf, SpiffeId, type TrustDomain } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import { FakeSync } from './fake-sync.ts'

type Overrides<S extends Parameters<GrpcServer['add']>[0]> = Handlers<S>

/** How a fake server differs from a well-behaved one. Handlers given here take the place of its own. */
export interface FakeServerOptions {
  readonly clock: Clock
  readonly trustDomain?: string | undefined
  /** What the server says it is. Default `/spire/server`. */
  readonly serverPath?: string | undefined
  readonly agentTtlSeconds?: number | undefined
  readonly x509TtlSeconds?: number | undefined
  readonly jwtTtlSeconds?: number | undefined
  /** Entries in a page of SyncAuthorizedEntries. */
  readonly pageSize?: number | undefined
  /** Ids of entries that no document is issued for. */
  readonly refusedEntries?: readonly string[] | undefined
  /** Whether it pushes: default no, as SPIRE. */
  readonly pushes?: boolean | undefined
  readonly agent?: Overrides<typeof agentV1.Agent> | undefined
  readonly bundle?: Overrides<typeof bundleV1.Bundle> | undefined
  readonly entry?: Overrides<typeof entryV1.Entry> | undefined
  readonly svid?: Overrides<typeof svidV1.SVID> | undefined
}

/** The fields of an entry. */
export type EntryInit = Exclude<MessageInitShape<typeof types.EntrySchema>, types.Entry>

/** A server of a trust domain for tests of the agent, over real TLS: it keeps everything in memory and can be made to misbehave. */
export class FakeServer implements AsyncDisposable {
  authority: TestAuthority
  /** Every entry is for every agent. */
  entries: EntryInit[] = []
  /** Bundles of other trust domains by name. */
  readonly federated = new Map<string, MessageInitShape<typeof types.BundleSchema>>()
  /** Join tokens and the key that each was spent on. */
  readonly tokens = new Map<string, PublicKey | undefined>()
  /** Why calls of agents are refused. */
  refusal: keyof typeof types.PermissionDeniedDetails_Reason | undefined
  readonly calls: string[] = []
  /** What each call said in the header `plastron-expires-at`, by the name of its method. */
  readonly documentEnds: { readonly method: string; readonly ends: string | undefined }[] = []
  /** What it pushes, if it does. */
  readonly sync: FakeSync
  taintedRoots: Certificate[] = []
  extraRoots: Certificate[] = []
  jwtTainted = false
  /** Answers nothing while this is pending. */
  gate: Promise<void> | undefined
  reattestable = false
  readonly #options: FakeServerOptions
  readonly #server: GrpcServer
  #listener: TlsListener | undefined
  #identity: Awaited<ReturnType<TestAuthority['x509Chain']>> | undefined
  #agentId: SpiffeId | undefined

  private constructor(options: FakeServerOptions, authority: TestAuthority) {
    this.#options = options
    this.authority = authority
    this.#server = new GrpcServer({
      interceptors: [
        async (call, next) => {
          this.calls.push(call.method.name)
          this.documentEnds.push({ method: call.method.name, ends: call.header('plastron-expires-at')[0] })
          await this.gate
          await next()
        },
      ],
    })
    const source = selfOf(this)
    this.sync = new FakeSync({
      get entries() {
        return source.entries
      },
      bundles: () => [this.ownBundle(), ...this.federated.values()],
      refuse: call => this.#refuse(call),
    })
    const own = this.#handlers()
    if (options.pushes === true) this.#server.add(syncV1.Sync, this.sync.handlers())
    this.#server
      .add(agentV1.Agent, { ...own.agent, ...options.agent })
      .add(bundleV1.Bundle, { ...own.bundle, ...options.bundle })
      .add(entryV1.Entry, { ...own.entry, ...options.entry })
      .add(svidV1.SVID, { ...own.svid, ...options.svid })
  }

  static async start(options: FakeServerOptions, port = 0): Promise<FakeServer> {
    const authority = await TestAuthority.create({
      trustDomain: options.trustDomain ?? 'example.org',
      now: () => options.clock.now(),
    })
    const server = new FakeServer(options, authority)
    await server.listen(port)
    return server
  }

  get trustDomain(): TrustDomain {
    return this.authority.trustDomain
  }

  get port(): number {
    return this.#listener?.address.port ?? 0
  }

  /** How often a method was called. */
  count(method: string): number {
    return this.calls.filter(name => name === method).length
  }

  async listen(port: number): Promise<void> {
    const { serverPath = '/spire/server' } = this.#options
    // Made once: TLS goes by the machine's time, in which a certificate of later on has not begun.
    this.#identity ??= await this.authority.x509Chain(this.authority.id(serverPath), { ttlSeconds: 72_000 })
    const { chain, key } = this.#identity
    this.#listener = await listenTls({
      host: '127.0.0.1',
      port,
      identity: { key, chain: chain.map(({ der }) => der) },
      verifyClient: async ders => {
        const leaf = Certificate.parse(ders[0]!)
        const notAfter = new Date(Date.now() + 3_600_000)
        return { spiffeId: checkLeaf(leaf), serialNumber: leaf.serialNumber.toString(), notAfter }
      },
      onConnection: (socket, peer) => this.#server.accept(socket, peer),
    })
  }

  /** Stops listening; connections that exist stay. */
  async unlisten(): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]()
    this.#listener = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unlisten()
    await this.#server[Symbol.asyncDispose]()
  }

  /** The own bundle as the server tells it. */
  ownBundle(): MessageInitShape<typeof types.BundleSchema> {
    return bundleMessage(this.authority, this.taintedRoots, this.extraRoots, this.jwtTainted)
  }

  /** An X509-SVID for a request's key. */
  async mint(
    csr: Uint8Array,
    id: SpiffeId,
    ttlSeconds: number,
  ): Promise<MessageInitShape<typeof types.X509SVIDSchema>> {
    const { publicKey } = CertificateRequest.parse(csr)
    const { chain } = await this.authority.x509Chain(id, {
      ttlSeconds,
      profile: profile => ({ ...profile, publicKey }),
    })
    return svidMessage(chain, id)
  }

  #refuse(call: Call): void {
    if (call.peer.kind !== 'tls' || call.peer.identity === undefined) {
      throw new GrpcError('UNAUTHENTICATED', 'no certificate')
    }
    if (this.refusal === undefined) return
    const reason = types.PermissionDeniedDetails_Reason[this.refusal]
    const detail = create(types.PermissionDeniedDetailsSchema, { reason })
    throw new GrpcError('PERMISSION_DENIED', 'not welcome', {
      details: [anyPack(types.PermissionDeniedDetailsSchema, detail)],
    })
  }

  #entry(id: string): EntryInit | undefined {
    if (this.#options.refusedEntries?.includes(id)) return undefined
    return this.entries.find(entry => entry.id === id)
  }

  #idOf({ spiffeId }: EntryInit): SpiffeId {
    return SpiffeId.fromPath(this.trustDomain, spiffeId?.path ?? '')
  }

  #handlers() {
    const server = selfOf(this)
    const options = this.#options
    const agent: Handlers<typeof agentV1.Agent> = {
      async *attestAgent(requests) {
        for await (const { step } of requests) {
          if (step.case !== 'params') continue
          const csr = step.value.params?.csr ?? new Uint8Array()
          const { publicKey } = CertificateRequest.parse(csr)
          const token = Buffer.from(step.value.data?.payload ?? []).toString()
          if (step.value.data?.type === 'join_token') server.#spend(token, publicKey)
          server.#agentId = SpiffeId.fromSegments(
            server.trustDomain,
            'spire',
            'agent',
            'join_token',
            token.slice(0, 20),
          )
          server.refusal = undefined
          const svid = await server.mint(csr, server.#agentId, options.agentTtlSeconds ?? 3600)
          yield { step: { case: 'result', value: { svid, reattestable: server.reattestable } } }
          return
        }
      },
      async renewAgent({ params }, call) {
        server.#refuse(call)
        const id = server.#agentId ?? SpiffeId.fromSegments(server.trustDomain, 'spire', 'agent', 'x')
        return { svid: await server.mint(params?.csr ?? new Uint8Array(), id, options.agentTtlSeconds ?? 3600) }
      },
      async postStatus(_request, call) {
        server.#refuse(call)
        return {}
      },
    }
    const bundle: Handlers<typeof bundleV1.Bundle> = {
      async getBundle() {
        return server.ownBundle()
      },
      async getFederatedBundle({ trustDomain }, call) {
        server.#refuse(call)
        const found = server.federated.get(trustDomain)
        if (found === undefined) throw new GrpcError('NOT_FOUND', 'bundle not found')
        return found
      },
    }
    const entry: Handlers<typeof entryV1.Entry> = {
      async getAuthorizedEntries(_request, call) {
        server.#refuse(call)
        return { entries: server.entries }
      },
      async *syncAuthorizedEntries(requests, call) {
        server.#refuse(call)
        const pageSize = options.pageSize ?? 500
        const all = server.entries
        for await (const { ids } of requests) {
          if (ids.length === 0 && all.length <= pageSize) {
            yield { entries: all }
            return
          }
          if (ids.length > 0) {
            yield { entries: all.filter(({ id }) => ids.includes(id ?? '')) }
            continue
          }
          for (let at = 0; at < all.length; at += pageSize) {
            const page = all.slice(at, at + pageSize)
            yield {
              entryRevisions: page.map(({ id, revisionNumber, createdAt }) => ({
                id: id ?? '',
                revisionNumber: revisionNumber ?? 0n,
                createdAt: createdAt ?? 0n,
              })),
              more: at + pageSize < all.length,
            }
          }
        }
      },
    }
    const svid: Handlers<typeof svidV1.SVID> = {
      async batchNewX509SVID({ params }, call) {
        server.#refuse(call)
        const results = await Promise.all(
          params.map(async ({ entryId, csr }) => {
            const found = server.#entry(entryId)
            if (found === undefined) return { status: { code: 5, message: 'entry not found or not authorized' } }
            return {
              status: { code: 0 },
              svid: await server.mint(csr, server.#idOf(found), options.x509TtlSeconds ?? 3600),
            }
          }),
        )
        return { results }
      },
      async newJWTSVID({ entryId, audience }, call) {
        server.#refuse(call)
        const found = server.#entry(entryId)
        if (found === undefined) throw new GrpcError('NOT_FOUND', 'entry not found or not authorized')
        const ttlSeconds = options.jwtTtlSeconds ?? 300
        const token = await server.authority.jwtToken(server.#idOf(found), audience, { ttlSeconds })
        const issuedAt = BigInt(Math.floor(options.clock.now().getTime() / 1000))
        return { svid: { token, issuedAt, expiresAt: issuedAt + BigInt(ttlSeconds) } }
      },
      async batchNewWITSVID({ params }, call) {
        server.#refuse(call)
        const results = await Promise.all(
          params.map(async ({ entryId, publicKey }) => {
            const found = server.#entry(entryId)
            if (found === undefined) return { status: { code: 5, message: 'entry not found or not authorized' } }
            const jwk = { ...PublicKey.fromSpki(publicKey).toJwk(), alg: 'ES256' }
            const { token } = await server.authority.witToken(server.#idOf(found), { claims: { cnf: { jwk } } })
            const issuedAt = BigInt(Math.floor(options.clock.now().getTime() / 1000))
            return { status: { code: 0 }, svid: { token, issuedAt, expiresAt: issuedAt + 300n } }
          }),
        )
        return { results }
      },
    }
    return { agent, bundle, entry, svid }
  }

  #spend(token: string, key: PublicKey): void {
    if (!this.tokens.has(token)) {
      throw new GrpcError('INVALID_ARGUMENT', 'failed to attest: join token does not exist or has already been used')
    }
    const spentOn = this.tokens.get(token)
    if (spentOn !== undefined && !spentOn.equals(key)) {
      throw new GrpcError('INVALID_ARGUMENT', 'failed to attest: join token does not exist or has already been used')
    }
    this.tokens.set(token, key)
  }
}

/** The server under another name, for handlers whose `this` is another object. */
function selfOf(server: FakeServer): FakeServer {
  return server
}

/** A bundle as a server tells it. */
export function bundleMessage(
  authority: TestAuthority,
  taintedRoots: readonly Certificate[] = [],
  extraRoots: readonly Certificate[] = [],
  jwtTainted = false,
): MessageInitShape<typeof types.BundleSchema> {
  return {
    trustDomain: authority.trustDomain.name,
    x509Authorities: [authority.root, ...extraRoots, ...taintedRoots].map(certificate => ({
      asn1: certificate.der,
      tainted: taintedRoots.some(tainted => tainted.equals(certificate)),
    })),
    jwtAuthorities: [{ keyId: authority.jwtKeyId, publicKey: authority.tokenKey.publicKey.spki, tainted: jwtTainted }],
    witAuthorities: [{ keyId: authority.witKeyId, publicKey: authority.tokenKey.publicKey.spki }],
    sequenceNumber: 1n,
  }
}

/** An X509-SVID as a server tells it. */
export function svidMessage(
  chain: readonly Certificate[],
  id: SpiffeId,
): MessageInitShape<typeof types.X509SVIDSchema> {
  return {
    certChain: chain.map(({ der }) => der),
    id: { trustDomain: id.trustDomain.name, path: id.path },
    expiresAt: BigInt(Math.floor((chain[0]?.notAfter.getTime() ?? 0) / 1000)),
  }
}

/** An entry for every workload of this test's own user. */
export function entryMessage(id: string, path: string, more: EntryInit = {}): EntryInit {
  return {
    id,
    spiffeId: { trustDomain: 'example.org', path },
    selectors: [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }],
    revisionNumber: 0n,
    createdAt: 1n,
    ...more,
  }
}
