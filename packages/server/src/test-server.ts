import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DescService } from '@bufbuild/protobuf'
import type { agentV1 } from '@plastron/api'
import { Certificate, createCertificateRequest, PrivateKey, type RequestProfile } from '@plastron/pki'
import {
  type Channel,
  connectMutualTls,
  connectUnix,
  GrpcError,
  type LogLevel,
  type TlsIdentity,
} from '@plastron/runtime'
import { FakeClock, recordingLogger, tempFolder } from '@plastron/runtime/testing'
import { parseServerConfig } from './config/load-server-config.ts'
import type { ServerConfig } from './config/server-config.ts'
import { type RunningServer, startServer } from './server.ts'

export interface TestServerOptions {
  /** The data folder of an earlier server. Default: a new one, which goes away with this server. */
  readonly folder?: string | undefined
  readonly clock?: FakeClock | undefined
  /** More lines of the section `server`. */
  readonly server?: string | undefined
  readonly keyManager?: 'disk' | 'memory' | undefined
  /** More plugins. */
  readonly plugins?: string | undefined
  readonly config?: Partial<ServerConfig> | undefined
}

/** A whole server in this process, with its real sockets. Its clock is the test's. */
export class TestServer implements AsyncDisposable {
  readonly running: RunningServer
  readonly clock: FakeClock
  readonly folder: string
  readonly log: ReturnType<typeof recordingLogger>
  readonly local: Channel
  readonly #owned: AsyncDisposableStack

  private constructor(parts: Pick<TestServer, 'running' | 'clock' | 'folder' | 'log'>, owned: AsyncDisposableStack) {
    this.running = parts.running
    this.clock = parts.clock
    this.folder = parts.folder
    this.log = parts.log
    this.local = owned.use(connectUnix(socketIn(parts.folder)))
    this.#owned = owned
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    await using owned = new AsyncDisposableStack()
    const folder = options.folder ?? owned.use(await tempFolder()).path
    await mkdir(join(folder, 'private'), { recursive: true, mode: 0o700 })
    const keyManager =
      options.keyManager === 'disk' ? `"disk" { plugin_data { keys_path = "${folder}/keys.json" } }` : '"memory" {}'
    const text = `
      server {
        trust_domain = "example.org"
        data_dir = "${folder}/data"
        bind_address = "127.0.0.1"
        bind_port = 1
        socket_path = "${socketIn(folder)}"
        ratelimit { attestation = false signing = false }
        ${options.server ?? ''}
      }
      plugins {
        DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${folder}/datastore.sqlite3" } }
        KeyManager ${keyManager}
        ${options.plugins ?? ''}
      }`
    const { config } = parseServerConfig(text, { path: 'server.conf', cwd: folder })
    // Deadlines of calls and ages of connections are wall time: the two begin together.
    const clock = options.clock ?? new FakeClock(new Date())
    const log = recordingLogger()
    let level: LogLevel = 'info'
    const control = {
      get level() {
        return level
      },
      launchLevel: 'info' as const,
      setLevel: (to: LogLevel) => {
        level = to
      },
      resetLevel: () => {
        level = 'info'
      },
    }
    const running = owned.use(
      await startServer(
        { ...config, bindPort: 0, ...options.config },
        {
          log: Object.defineProperties(log, Object.getOwnPropertyDescriptors(control)) as typeof log & typeof control,
          version: '0.0.0-test',
          clock,
          signal: new AbortController().signal,
        },
      ),
    )
    return new TestServer({ running, clock, folder, log }, owned.move())
  }

  /** A client over the private socket. */
  client<S extends DescService>(service: S) {
    return this.local.client(service)
  }

  /** A channel over TLS that shows this identity, or none. It goes away with the server. */
  connect(identity?: TlsIdentity, verifyServer = async (_chain: readonly Uint8Array[]): Promise<void> => undefined) {
    const { host, port } = this.running.address
    return this.#owned.use(connectMutualTls({ host, port, identity: () => identity, verifyServer }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

function socketIn(folder: string): string {
  return join(folder, 'private', 'api.sock')
}

/** A new key and a request for it, with what names a test wants in the request. */
export async function newRequest(names: Partial<RequestProfile> = {}) {
  const key = await PrivateKey.generate('ec-p256')
  return { key, csr: Uint8Array.from(await createCertificateRequest({ signer: key, ...names })) }
}

/** Attests over a channel as an agent does, answering challenges. The SVID as an identity for TLS. */
export async function attest(
  client: { attestAgent(requests: AsyncIterable<AttestRequest>): AsyncIterable<agentV1.AttestAgentResponse> },
  data: { readonly type: string; readonly payload: Uint8Array },
  options: {
    readonly request?: { readonly key: PrivateKey; readonly csr: Uint8Array } | undefined
    readonly answer?: ((challenge: Uint8Array) => Promise<Uint8Array>) | undefined
  } = {},
) {
  const { key, csr } = options.request ?? (await newRequest())
  const answers: PromiseWithResolvers<Uint8Array | undefined>[] = [Promise.withResolvers()]
  async function* requests(): AsyncGenerator<AttestRequest> {
    yield {
      step: {
        case: 'params',
        value: {
          data: { type: data.type, payload: Uint8Array.from(data.payload) },
          params: { csr: Uint8Array.from(csr) },
        },
      },
    }
    for (const next of answers) {
      const value = await next.promise
      if (value === undefined) return
      yield { step: { case: 'challengeResponse', value: Uint8Array.from(value) } }
    }
  }
  try {
    for await (const { step } of client.attestAgent(requests())) {
      if (step.case === 'challenge') {
        const waiting = answers.at(-1)
        answers.push(Promise.withResolvers())
        waiting?.resolve((await options.answer?.(step.value)) ?? new Uint8Array())
      } else if (step.case === 'result') {
        const chain = step.value.svid?.certChain ?? []
        const [leaf] = chain
        if (leaf === undefined) throw new Error('the result has no SVID')
        const identity: TlsIdentity = { key, chain }
        return { identity, result: step.value, leaf: Certificate.parse(leaf) }
      }
    }
  } finally {
    answers.at(-1)?.resolve(undefined)
  }
  throw new Error('the stream ended without a result')
}

type AttestRequest = {
  readonly step:
    | {
        case: 'params'
        value: { data: { type: string; payload: Uint8Array<ArrayBuffer> }; params: { csr: Uint8Array<ArrayBuffer> } }
      }
    | { case: 'challengeResponse'; value: Uint8Array<ArrayBuffer> }
}

/** The status that a call fails with. */
export async function statusOf(call: Promise<unknown>): Promise<GrpcError> {
  try {
    await call
  } catch (error) {
    if (error instanceof GrpcError) return error
    throw error
  }
  throw new Error('the call succeeded')
}
