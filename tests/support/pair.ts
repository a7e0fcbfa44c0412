import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { agentV1, entryV1, svidV1, workload } from '@plastron/api'
import { pemEncode } from '@plastron/pki'
import { connectUnix, GrpcError } from '@plastron/runtime'
import { FakeClock } from '@plastron/runtime/testing'
import { TrustDomain, X509Svid } from '@plastron/spiffe'
import type { AgentConfig } from '../../packages/agent/src/config/agent-config.ts'
import { eventually, secured, TestAgent } from '../../packages/agent/src/testing/test-agent.ts'
import { newRequest, TestServer, type TestServerOptions } from '../../packages/server/src/test-server.ts'

export const trustDomain = TrustDomain.parse('example.org')

/** Far longer than any test: what an agent learns in time, it was pushed. */
const neverPolls = { syncIntervalMs: 36_000_000 }

const STEP_MS = 500

/** What a {@link Pair} is made of. */
export interface PairOptions {
  readonly server?: TestServerOptions | undefined
  readonly agent?: Partial<AgentConfig> | undefined
  /** The agent's clock. Default: that of the server. */
  readonly agentClock?: FakeClock | undefined
  /** Called when the server runs, before the agent starts. */
  readonly prepare?: ((server: TestServer) => Promise<void>) | undefined
}

/** A whole server and a whole agent on push, in this process, over real sockets; time is the test's. */
export class Pair implements AsyncDisposable {
  readonly server: TestServer
  readonly agent: TestAgent
  readonly clocks: readonly FakeClock[]
  readonly #owned: AsyncDisposableStack

  private constructor(parts: Pick<Pair, 'server' | 'agent' | 'clocks'>, owned: AsyncDisposableStack) {
    this.server = parts.server
    this.agent = parts.agent
    this.clocks = parts.clocks
    this.#owned = owned
  }

  /** Resolves when the agent is attested, with the join token `token-1` unless it was told otherwise, and holds its entries. */
  static async start({ server: serverOptions, agent: config, agentClock, prepare }: PairOptions = {}): Promise<Pair> {
    await using owned = new AsyncDisposableStack()
    const clock = new FakeClock(new Date())
    const server = owned.use(await TestServer.start({ clock, ...serverOptions }))
    await prepare?.(server)
    await server.client(agentV1.Agent).createJoinToken({ ttl: 600, token: 'token-1' })
    const agent = owned.use(
      await TestAgent.start({
        server: { port: server.running.address.port, trustDomain, tokens: new Map() },
        clock: agentClock ?? clock,
        config: { ...neverPolls, ...config },
      }),
    )
    await agent.agent.ready
    const clocks = [...new Set([clock, agentClock ?? clock])]
    return new Pair({ server, agent, clocks }, owned.move())
  }

  /** Registers an identity for every workload of this user, or for other selectors. Its entry's ID. */
  register(path: string, parent: string, selector?: { readonly type: string; readonly value: string }) {
    return register(this.server, path, parent, selector)
  }

  /** A workload that holds its stream of X509-SVIDs open, once it has these identities. It goes away with the pair. */
  async workload(...paths: readonly string[]): Promise<Workload> {
    const workload = this.#owned.use(new Workload(join(this.agent.folder, 'public/api.sock')))
    await eventually(() => workload.ended !== undefined || workload.paths.join() === paths.join(), paths.join())
    if (workload.ended !== undefined) throw workload.ended
    return workload
  }

  /** Lets time pass for both, in steps that are too small for one to take the other's clock for wrong. */
  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      for (const clock of this.clocks) await clock.advance(Math.min(STEP_MS, left))
    }
  }

  /** Lets time pass for both, half a second at a go, until a condition holds; a bound against hanging, not a measurement. */
  async until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const end = performance.now() + 30_000
    while (!(await condition())) {
      if (performance.now() > end) throw new Error(`${what}: still not so after 30 s`)
      await this.advance(500)
      // What the clocks set off talks over real sockets, and has deadlines by the clocks.
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

/** What a workload sees on a stream that it holds open. */
export class Workload implements Disposable {
  svids: readonly X509Svid[] = []
  /** The bundle of the trust domain: concatenated DER. */
  bundle: Uint8Array = new Uint8Array()
  /** Why the stream ended. */
  ended: GrpcError | undefined
  answers = 0
  readonly #channel: ReturnType<typeof connectUnix>

  constructor(socketPath: string) {
    this.#channel = connectUnix(socketPath)
    this.#follow().catch(error => {
      this.ended = error instanceof GrpcError ? error : new GrpcError('UNKNOWN', String(error), { cause: error })
    })
  }

  get paths(): readonly string[] {
    return this.svids.map(({ id }) => id.path).sort()
  }

  async #follow(): Promise<void> {
    for await (const { svids } of this.#channel.client(workload.SpiffeWorkloadAPI).fetchX509SVID({}, secured)) {
      this.svids = svids.map(({ x509Svid, x509SvidKey }) => X509Svid.parseDer(x509Svid, x509SvidKey))
      this.bundle = svids[0]?.bundle ?? new Uint8Array()
      this.answers += 1
    }
  }

  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]()
  }
}

/** Registers an identity below a parent, both given by their paths. Its entry's ID. */
export async function register(
  server: TestServer,
  path: string,
  parent: string,
  selector = { type: 'unix', value: `uid:${process.getuid?.() ?? 0}` },
): Promise<string> {
  const id = (text: string) => ({ trustDomain: trustDomain.name, path: text })
  const { results } = await server.client(entryV1.Entry).batchCreateEntry({
    entries: [{ spiffeId: id(path), parentId: id(parent), selectors: [selector] }],
  })
  const [result] = results
  if (result?.entry === undefined) throw new Error(`${path} could not be registered: ${result?.status?.message}`)
  return result.entry.id
}

/** A node's proof of itself on disk: a certificate of the trust domain below the prefix of the x509pop attestor, which can be replaced. */
export class NodeProof {
  readonly #folder: string
  readonly #server: TestServer

  constructor(folder: string, server: TestServer) {
    this.#folder = folder
    this.#server = server
  }

  get config() {
    return { privateKeyPath: join(this.#folder, 'node.key'), certificatePath: join(this.#folder, 'node.pem') }
  }

  /** Puts a new certificate of this name into the files. Returns the selector of a node that shows it. */
  async replace(name: string): Promise<{ readonly type: string; readonly value: string }> {
    const { key, csr } = await newRequest({ uris: [`spiffe://${trustDomain.name}/spire-exchange/${name}`] })
    const { svid } = await this.#server.client(svidV1.SVID).mintX509SVID({ csr })
    const chain = svid?.certChain ?? []
    const { privateKeyPath, certificatePath } = this.config
    await writeFile(privateKeyPath, pemEncode('PRIVATE KEY', key.toPkcs8()), { mode: 0o600 })
    await writeFile(certificatePath, chain.map(der => pemEncode('CERTIFICATE', der)).join(''))
    const { leaf } = X509Svid.parseDer(Buffer.concat(chain), key.toPkcs8())
    const hex = leaf.serialNumber.toString(16)
    return { type: 'x509pop', value: `serialnumber:${hex.length % 2 === 0 ? hex : `0${hex}`}` }
  }
}
