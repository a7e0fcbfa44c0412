import { fromBinary } from '@bufbuild/protobuf'
import { agentV1, syncV1 } from '@plastron/api'
import type { GrpcConnection } from './grpc-connection.ts'
import { inParallel } from './load.ts'
import { encode, pathOf } from './rpc.ts'
import { agentKey, type SimulatedAgent } from './simulated-agent.ts'

const { watch } = syncV1.Sync.method
const { renewAgent } = agentV1.Agent.method

/** As Plastron's agents: often enough that a server notices within half a minute that one is gone. */
const pingMilliseconds = 24_000

interface Watching {
  readonly agent: SimulatedAgent
  readonly connection: GrpcConnection
  position: syncV1.Position | undefined
}

/** Simulated agents that hold a Watch open, each on a connection of its own, as agents of Plastron do. */
export class WatchingAgents implements Disposable {
  readonly #watching: Watching[] = []
  readonly #connections = new DisposableStack()
  /** Why a stream ended by itself, if one did. */
  failure: Error | undefined
  #closing = false

  /** Connects all of them; resolves when each has its snapshot. */
  static async open(agents: readonly SimulatedAgent[]): Promise<WatchingAgents> {
    const all = new WatchingAgents()
    try {
      await all.add(agents)
      return all
    } catch (error) {
      all[Symbol.dispose]()
      throw error
    }
  }

  /** Connects some more; resolves when each has its snapshot. */
  async add(agents: readonly SimulatedAgent[]): Promise<void> {
    const first = this.#watching.length
    await inParallel(agents.length, 16, async index => {
      this.#watching[first + index] = await this.#open(agents[index] as SimulatedAgent, undefined)
    })
  }

  get size(): number {
    return this.#watching.length
  }

  /** One agent renews its certificate, opens a new stream with it where the old one is, and then ends the old one. */
  async renew(index: number): Promise<void> {
    const old = this.#watching[index] as Watching
    const key = await agentKey()
    const request = encode(renewAgent.input, { params: { csr: key.csr } })
    const { svid } = fromBinary(renewAgent.output, await old.connection.unary(pathOf(renewAgent), request))
    if (svid === undefined) throw new Error('a renewal without a certificate')
    this.#watching[index] = await this.#open(old.agent.renewed(key, svid.certChain), old.position)
    old.connection[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    this.#closing = true
    this.#connections.dispose()
  }

  async #open(agent: SimulatedAgent, position: syncV1.Position | undefined): Promise<Watching> {
    const connection = this.#connections.use(await agent.connect())
    const watching: Watching = { agent, connection, position }
    const request = encode(watch.input, {
      agent: { version: 'bench' },
      ...(position === undefined ? {} : { position }),
    })
    await new Promise<void>((resolve, reject) => {
      const held = connection.hold(pathOf(watch), request, message => {
        const { content } = fromBinary(watch.output, message)
        if (content.case !== 'snapshotEnd' && content.case !== 'delta') return
        watching.position = content.value.position ?? watching.position
        resolve()
      })
      void held.ended.then(() => {
        const error = new Error('a watching agent lost its stream')
        reject(error)
        if (!this.#closing && this.#watching.includes(watching)) this.failure ??= error
      })
    })
    connection.pingEvery(pingMilliseconds)
    return watching
  }
}
