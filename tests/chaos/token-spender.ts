import assert from 'node:assert/strict'
import { agentV1 } from '@plastron/api'
import { PrivateKey } from '@plastron/pki'
import { GrpcError } from '@plastron/runtime'
import type { SocketClient } from '@plastron/runtime/cli'
import { TrustDomain } from '@plastron/spiffe'
import { attestAgent } from '../../packages/agent/src/attestation/node/attest-agent.ts'
import { JoinTokenAttestor } from '../../packages/agent/src/plugins/node-attestor/join-token.ts'
import { ServerConnection } from '../../packages/agent/src/upstream/server-connection.ts'

interface Spending {
  readonly token: string
  readonly key: PrivateKey
  state: 'made' | 'tried' | 'spent'
}

/** The server whose tokens are spent. */
export interface TokenServer {
  readonly port: number
  readonly trustDomain: string
}

/** Makes join tokens and spends each on a key of its own, and remembers how far that went. */
export class TokenSpender {
  readonly #server: TokenServer
  #open: Spending[] = []
  #spent = 0

  constructor(server: TokenServer) {
    this.#server = server
  }

  /** How many tokens were spent. */
  get spent(): number {
    return this.#spent
  }

  /** Makes and spends tokens until told to stop. */
  async run(admin: SocketClient, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const { value } = await admin.call(agentV1.Agent.method.createJoinToken, { ttl: 600 })
        const spending: Spending = { token: value, key: await PrivateKey.generate('ec-p256'), state: 'made' }
        this.#open.push(spending)
        if (signal.aborted) return
        spending.state = 'tried'
        await this.#attest(value, spending.key, signal)
        spending.state = 'spent'
        this.#spent += 1
      } catch (error) {
        assert.notEqual(error instanceof GrpcError && error.code, 'INVALID_ARGUMENT', 'a new token was refused')
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
  }

  /** After a restart: a spent token admits no other key, and one that was not, or not for sure, still admits its own. */
  async verify(): Promise<void> {
    // Those before the last few were spent long before the kill.
    const some = [...this.#open.filter(({ state }) => state !== 'spent'), ...this.#open.slice(-3)]
    this.#open = []
    await Promise.all(
      [...new Set(some)].map(async ({ token, key, state }) => {
        if (state !== 'spent') await this.#attest(token, key)
        await this.refusesAnotherKey(token)
      }),
    )
  }

  /** A token that was spent admits no other key. */
  async refusesAnotherKey(token: string): Promise<void> {
    const thief = await PrivateKey.generate('ec-p256')
    await assert.rejects(
      this.#attest(token, thief),
      (error: unknown) => error instanceof GrpcError && error.code === 'INVALID_ARGUMENT',
      'a spent token admitted a second key',
    )
  }

  async #attest(token: string, key: PrivateKey, signal = AbortSignal.timeout(30_000)): Promise<void> {
    const trustDomain = TrustDomain.parse(this.#server.trustDomain)
    using connection = new ServerConnection({
      host: '127.0.0.1',
      port: this.#server.port,
      trustDomain,
      identity: () => undefined,
      bundle: () => undefined,
      now: () => new Date(),
    })
    const exchange = await new JoinTokenAttestor({ token }).begin()
    await attestAgent(connection.agent, exchange, key, trustDomain, signal)
  }
}
