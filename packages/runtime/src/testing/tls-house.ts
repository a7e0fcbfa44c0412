import { agentV1, bundleV1 } from '@plastron/api'
import { verifyX509Svid } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import type { Clock } from '../clock/clock.ts'
import { GrpcServer, type GrpcServerOptions } from '../grpc/server.ts'
import { listenTls, type TlsListenerOptions } from '../listeners/listen-tls.ts'
import type { TlsIdentity } from '../listeners/tls-identity.ts'

/** What a {@link tlsHouse} is told to do differently. */
export interface TlsHouseOptions {
  readonly server?: GrpcServerOptions | undefined
  readonly listener?: Partial<TlsListenerOptions> | undefined
  readonly clock?: Clock | undefined
}

/**
 * A trust domain with a gRPC server behind a TLS listener, for tests: `Bundle/GetBundle` answers with the caller's SPIFFE ID, or `anonymous`, and
 * with its address; `Agent/CountAgents` waits until the call ends.
 */
export async function tlsHouse(options: TlsHouseOptions = {}) {
  const authority = await TestAuthority.create({ now: options.clock && (() => options.clock?.now() ?? new Date()) })
  const bundle = authority.bundle().x509Bundle
  const serverId = authority.id('/spire/server')
  const identity = async (id: string, ttlSeconds = 3600, intermediates = 0): Promise<TlsIdentity> => {
    const { chain, key } = await authority.x509Chain(id, { ttlSeconds, intermediates })
    return { key, chain: chain.map(certificate => certificate.der) }
  }
  const refused: { error: Error; address: string }[] = []
  const server = new GrpcServer(options.server)
    .add(bundleV1.Bundle, {
      async getBundle(_request, call) {
        const peer = call.peer.kind === 'tls' ? call.peer : undefined
        return { trustDomain: `${peer?.identity?.spiffeId.toString() ?? 'anonymous'} ${peer?.address}` }
      },
    })
    .add(agentV1.Agent, {
      countAgents: (_request, call) =>
        new Promise((_, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason))),
    })
  const listener = await listenTls({
    host: '127.0.0.1',
    port: 0,
    identity: await identity(serverId.toString(), 3600, 1),
    verifyClient: async chain => {
      const { id, path, expiresAt } = await verifyX509Svid(chain, bundle, { now: options.clock?.now() })
      return { spiffeId: id, serialNumber: String(path[0]?.serialNumber), notAfter: expiresAt }
    },
    onConnection: (socket, peer) => server.accept(socket, peer),
    onRefused: (error, address) => refused.push({ error, address }),
    clock: options.clock,
    ...options.listener,
  })
  return {
    authority,
    serverId,
    identity,
    server,
    listener,
    refused,
    port: listener.address.port,
    /** The roots of the trust domain, as DER. */
    roots: () => [authority.root.der],
    /** What a client of the house checks about the server. */
    verifyServer: async (chain: readonly Uint8Array[]) => {
      const { id } = await verifyX509Svid(chain, bundle, { now: options.clock?.now() })
      if (!id.equals(serverId)) throw new Error(`the server is ${id.toString()}, not ${serverId.toString()}`)
    },
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}
