import { create } from '@bufbuild/protobuf'
import { agentV1, bundleV1, entryV1, health, types } from '@plastron/api'
import { pemEncode } from '@plastron/pki'
import { connectSocketClient, type SocketClient } from '@plastron/runtime/cli'

const ALREADY_EXISTS = 6

/** What a development trust domain asks of its server, over the private socket as any operator would. */
export class ServerAdmin implements AsyncDisposable {
  readonly #trustDomain: string
  readonly #client: SocketClient

  constructor(trustDomain: string, socketPath: string, signal: AbortSignal) {
    this.#trustDomain = trustDomain
    this.#client = connectSocketClient(socketPath, { signal })
  }

  /** Whether the server answers and says that it serves. */
  async isHealthy(): Promise<boolean> {
    try {
      const { status } = await this.#client.call(health.Health.method.check, {})
      return status === health.HealthCheckResponse_ServingStatus.SERVING
    } catch {
      return false
    }
  }

  /** The X.509 authorities as PEM: what an agent trusts at first. */
  async trustBundlePem(): Promise<string> {
    const bundle = await this.#client.call(bundleV1.Bundle.method.getBundle, { outputMask: { x509Authorities: true } })
    return pemEncode('CERTIFICATE', ...bundle.x509Authorities.map(({ asn1 }) => asn1))
  }

  /** A join token; the agent that spends it is also known by `nodePath`, whatever its token was. */
  async createJoinToken(nodePath: string, ttlSeconds: number): Promise<string> {
    const token = await this.#client.call(agentV1.Agent.method.createJoinToken, {
      ttl: ttlSeconds,
      agentId: { trustDomain: this.#trustDomain, path: nodePath },
    })
    return token.value
  }

  /** Registers a workload; one that is registered already is left as it is. */
  async registerWorkload(path: string, nodePath: string, selector: { type: string; value: string }): Promise<void> {
    const id = (idPath: string) => create(types.SPIFFEIDSchema, { trustDomain: this.#trustDomain, path: idPath })
    const { results } = await this.#client.call(entryV1.Entry.method.batchCreateEntry, {
      entries: [{ spiffeId: id(path), parentId: id(nodePath), selectors: [selector] }],
    })
    const status = results[0]?.status
    if (status?.code !== 0 && status?.code !== ALREADY_EXISTS) {
      throw new Error(
        `the server did not register spiffe://${this.#trustDomain}${path}: ${status?.message ?? 'no result'}`,
      )
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }
}
