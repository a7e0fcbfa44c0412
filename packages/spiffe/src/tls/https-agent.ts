import { Agent, type AgentOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { type ConnectTlsOptions, connectTls } from './connect.ts'

/** What a {@link SpiffeHttpsAgent} is made of. */
export type SpiffeHttpsAgentOptions = Omit<ConnectTlsOptions, 'connection' | 'signal'> & {
  /** For the pool of connections: `keepAlive`, `maxSockets` and the like. */
  readonly agent?: Omit<AgentOptions, keyof ConnectionOptions> | undefined
}

/**
 * An agent for `https.request` whose connections are those of {@link connectTls}: no request is sent before the server was
 * verified and authorized. The host name in the URL says where to connect and nothing about who must answer.
 */
export class SpiffeHttpsAgent extends Agent {
  readonly #options: SpiffeHttpsAgentOptions

  constructor(options: SpiffeHttpsAgentOptions) {
    super({ ...options.agent, maxCachedSessions: 0 })
    this.#options = options
  }

  override createConnection(
    options: ConnectionOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    connectTls({
      ...this.#options,
      connection: { ...options, session: undefined } as ConnectTlsOptions['connection'],
    }).then(
      ({ socket }) => callback?.(null, socket),
      error => callback?.(error, undefined as unknown as Duplex),
    )
    return undefined
  }
}
