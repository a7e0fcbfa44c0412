import { fromBinary } from '@bufbuild/protobuf'
import { agentV1, entryV1, svidV1, syncV1 } from '@plastron/api'
import { Certificate } from '@plastron/pki'
import type { GrpcConnection } from '../../../bench/grpc-connection.ts'
import { encode, pathOf } from '../../../bench/rpc.ts'
import type { AgentKey, SimulatedAgent } from '../../../bench/simulated-agent.ts'

const { watch } = syncV1.Sync.method
const { syncAuthorizedEntries } = entryV1.Entry.method
const { renewAgent } = agentV1.Agent.method
const { batchNewX509SVID } = svidV1.SVID.method

/** Bounds a single attempt, so that one answer that never comes costs one attempt and not the agent. */
const attemptMs = 60_000

/** When a document was issued and when it ends, in milliseconds. */
interface Lifetime {
  readonly begins: number
  readonly ends: number
}

/** Where an agent's simulation gets what takes time to make, and its time. */
export interface StormWorld {
  nextKey(): AgentKey
  /** Milliseconds since 1970. */
  now(): number
  /** Makes a connection, when this process can: thousands of handshakes at once would time out here, where each agent has a machine of its own. */
  connect(agent: SimulatedAgent): Promise<GrpcConnection>
  /** Whether agents hold a stream open, as Plastron's do, or poll, as SPIRE's do. */
  readonly push: boolean
}

/** An agent with its own certificate and those of its workloads: what a server sees of one, and what can expire. */
export class StormAgent {
  readonly #world: StormWorld
  readonly #entries: readonly string[]
  readonly #svids = new Map<string, Lifetime>()
  #agent: SimulatedAgent
  #own: Lifetime
  #connection: GrpcConnection | undefined
  #position: syncV1.Position | undefined

  /** @param ttlMs how long the certificate lasts that it has just been given */
  constructor(world: StormWorld, agent: SimulatedAgent, ttlMs: number, entries: readonly string[]) {
    this.#world = world
    this.#agent = agent
    this.#own = { begins: world.now(), ends: world.now() + ttlMs }
    this.#entries = entries
  }

  /** When the first of its documents ends, in milliseconds since 1970. */
  get firstEnd(): number {
    return Math.min(this.#own.ends, ...Array.from(this.#svids.values(), lifetime => lifetime.ends))
  }

  /**
   * One attempt to be as an agent should be: connected, told about its entries from where it was, no document older than
   * half of its life. A renewed agent opens its stream anew and only then ends the old one.
   */
  async attempt(): Promise<void> {
    this.close()
    const connections = new Set<GrpcConnection>()
    const timer = setTimeout(() => {
      for (const connection of connections) connection[Symbol.dispose]()
    }, attemptMs)
    try {
      const shown = this.#agent
      const connection = await this.#world.connect(shown)
      connections.add(connection)
      await this.#follow(connection)
      await Promise.all([this.#renewOwn(connection), this.#renewWorkloads(connection)])
      let kept = connection
      if (this.#agent !== shown) {
        kept = await this.#world.connect(this.#agent)
        connections.add(kept)
        await this.#follow(kept)
        connection[Symbol.dispose]()
      }
      this.#connection = kept
      connections.clear()
    } catch (error) {
      for (const connection of connections) connection[Symbol.dispose]()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#connection?.[Symbol.dispose]()
  }

  /** Learns its entries, and goes on learning where the server pushes. */
  async #follow(connection: GrpcConnection): Promise<void> {
    if (this.#world.push) {
      const request = encode(watch.input, {
        agent: { version: 'storm' },
        ...(this.#position === undefined ? {} : { position: this.#position }),
      })
      const first = Promise.withResolvers<boolean>()
      const held = connection.hold(pathOf(watch), request, message => {
        const { content } = fromBinary(watch.output, message)
        if (content.case !== 'snapshotEnd' && content.case !== 'delta') return
        this.#position = content.value.position ?? this.#position
        first.resolve(true)
      })
      void held.ended.then(() => first.resolve(false))
      if (!(await first.promise)) throw new Error('the stream ended before it began')
      return
    }
    const mask = { spiffeId: true, revisionNumber: true }
    await connection.first(pathOf(syncAuthorizedEntries), encode(syncAuthorizedEntries.input, { outputMask: mask }))
  }

  /** What it was given counts from this moment on, as it would once an agent has stored it: the next connection shows it. */
  async #renewOwn(connection: GrpcConnection): Promise<void> {
    if (!this.#isDue(this.#own)) return
    const key = this.#world.nextKey()
    const request = encode(renewAgent.input, { params: { csr: key.csr } })
    const { svid } = fromBinary(renewAgent.output, await connection.unary(pathOf(renewAgent), request))
    if (svid === undefined) throw new Error('a renewal without a certificate')
    this.#agent = this.#agent.renewed(key, svid.certChain)
    this.#own = lifetimeOf(svid.certChain)
  }

  async #renewWorkloads(connection: GrpcConnection): Promise<void> {
    const due = this.#entries.filter(entryId => {
      const svid = this.#svids.get(entryId)
      return svid === undefined || this.#isDue(svid)
    })
    if (due.length === 0) return
    const params = due.map(entryId => ({ entryId, csr: Uint8Array.from(this.#world.nextKey().csr) }))
    const request = encode(batchNewX509SVID.input, { params })
    const { results } = fromBinary(batchNewX509SVID.output, await connection.unary(pathOf(batchNewX509SVID), request))
    for (const [index, { status, svid }] of results.entries()) {
      if (status?.code !== 0 || svid === undefined) throw new Error(`a document was refused: ${status?.message}`)
      this.#svids.set(due[index] as string, lifetimeOf(svid.certChain))
    }
  }

  #isDue({ begins, ends }: Lifetime): boolean {
    return ends - this.#world.now() <= (ends - begins) / 2
  }
}

function lifetimeOf(chain: readonly Uint8Array[]): Lifetime {
  const { notBefore, notAfter } = Certificate.parse(chain[0] as Uint8Array)
  return { begins: notBefore.getTime(), ends: notAfter.getTime() }
}
