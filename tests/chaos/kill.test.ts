import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { agentV1, bundleV1 } from '@plastron/api'
import { pemEncode } from '@plastron/pki'
import { connectSocketClient, type SocketClient } from '@plastron/runtime/cli'
import { TrustDomain, verifyX509Svid } from '@plastron/spiffe'
import { WorkloadApiClient } from '@plastron/spiffe/workload'
import { Daemon } from '../../packages/plastron/src/dev/daemon.ts'
import { createRandom } from '../fuzz/random.ts'
import { Cluster, launcher, until } from '../support/cluster.ts'
import { kill, untilServing } from '../support/daemons.ts'
import { AuthorityRotator } from './authority-rotator.ts'
import { EntryWriter } from './entry-writer.ts'
import { TokenSpender } from './token-spender.ts'

/** PLASTRON_TEST_KILLS overrides the number, as PLASTRON_TEST_SEED does the moments. */
const kills = Number(process.env.PLASTRON_TEST_KILLS ?? (process.env.PLASTRON_TEST_LONG === undefined ? 50 : 500))
const seed = process.env.PLASTRON_TEST_SEED ?? randomBytes(8).toString('hex')
/** Against hanging only; how long things take is printed. */
const boundMs = 60_000

type Round = 'server' | 'agent' | 'server, while an agent attests' | 'agent that attests'

const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

describe('killed at any moment', () => {
  test(`G5 I3 I4 I7 S1 D1 server and agent survive ${kills} kills (seed ${seed})`, async context => {
    const random = createRandom(seed)
    await using cluster = await Cluster.start({
      serverSettings: 'default_x509_svid_ttl = "60s"\n  agent_ttl = "60s"\n  ratelimit { attestation = false }',
      agentSettings: 'experimental { sync_interval = "1s" }',
    })
    await using chaos = await Chaos.start(cluster)
    for (let round = 0; round < kills; round++) {
      const kind: Round =
        round % 2 === 0
          ? round % 8 === 6
            ? 'server, while an agent attests'
            : 'server'
          : round % 4 === 3
            ? 'agent that attests'
            : 'agent'
      const moment = { fraction: random.int(1000) / 1000, rotate: random.chance(25) }
      try {
        await chaos.round(kind, moment, round)
      } catch (cause) {
        const logs = [cluster.server, cluster.agent].map(daemon => daemon?.logTail(25)).join('\n--\n')
        throw new Error(`round ${round} (${kind}, ${JSON.stringify(moment)}), seed ${seed}\n${logs}`, { cause })
      }
    }
    context.diagnostic(`seed ${seed}: ${await chaos.finish()}`)
  })
})

/** One cluster under load whose parts are killed and started again. */
class Chaos implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #admin: SocketClient
  readonly #workload: WorkloadApiClient
  readonly #over = new AbortController()
  readonly #forNode: EntryWriter
  readonly #forNobody: EntryWriter
  readonly #tokens: TokenSpender
  readonly #authorities = new AuthorityRotator()
  #attesting: Daemon | undefined
  #watching: Promise<void> | undefined
  #updates = 0
  #attestationMs = 1_000
  #slowestMs = 0

  private constructor(cluster: Cluster) {
    const { trustDomain } = cluster
    this.#cluster = cluster
    this.#admin = connectSocketClient(cluster.serverSocket, { signal: this.#over.signal, timeoutMs: 20_000 })
    this.#workload = new WorkloadApiClient({
      address: cluster.workloadApiAddress,
      backoff: { stepMs: 50, maxMs: 200 },
    })
    this.#forNode = new EntryWriter({ name: 'node', trustDomain, parentPath: '/node' })
    this.#forNobody = new EntryWriter({ name: 'nobody', trustDomain, parentPath: '/nobody' })
    this.#tokens = new TokenSpender(cluster)
  }

  static async start(cluster: Cluster): Promise<Chaos> {
    await cluster.register('/workload')
    await cluster.startAgent()
    const chaos = new Chaos(cluster)
    // Whoever attests again from now on has lost something.
    await rm(cluster.path('token'))
    chaos.#watching = chaos.#workload.watchX509Context({
      onUpdate: () => {
        chaos.#updates += 1
      },
    })
    // It ends with the client; what ends it earlier is seen by `finish`.
    chaos.#watching.catch(() => undefined)
    await chaos.#workloadIsServed('start')
    const started = performance.now()
    await chaos.#freshAgentIsIn(await chaos.#startFreshAgent('first'))
    chaos.#attestationMs = performance.now() - started
    return chaos
  }

  async round(kind: Round, { fraction, rotate }: { fraction: number; rotate: boolean }, number: number): Promise<void> {
    const cluster = this.#cluster
    const fresh = kind.includes('attests') ? await this.#startFreshAgent(number) : undefined
    const stop = new AbortController()
    const load = [
      this.#forNode.run(this.#admin, stop.signal),
      this.#forNobody.run(this.#admin, stop.signal),
      this.#tokens.run(this.#admin, stop.signal),
      this.#callForTokens(number, stop.signal),
      ...(rotate ? [this.#authorities.step(this.#admin)] : []),
    ]
    try {
      await sleep(fraction * (fresh ? this.#attestationMs : 300))
      if (kind.startsWith('server')) await kill(cluster.server as Daemon)
      else if (fresh) await kill(fresh.daemon)
      else await kill(cluster.agent as Daemon)
    } finally {
      stop.abort()
      await Promise.all(load)
    }
    const killed = performance.now()
    const updates = this.#updates
    if (kind.startsWith('server')) await untilServing(cluster.launchServer(), cluster.serverSocket, boundMs)
    else if (fresh) await this.#restartFresh(fresh)
    else await untilServing(cluster.launchAgent(), cluster.agentSocket, boundMs)
    if (fresh) await this.#freshAgentIsIn(fresh)
    await Promise.all([this.#forNode.verify(this.#admin), this.#forNobody.verify(this.#admin), this.#tokens.verify()])
    await this.#authorities.verify(this.#admin)
    if (rotate) await this.#bundleIsKnown()
    await this.#workloadIsServed(`round-${number}`)
    if (kind === 'agent') await until(() => this.#updates > updates, boundMs)
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - killed)
    await this.#nothingIsLeft(2)
  }

  /** Stops everything in order and says what was seen. */
  async finish(): Promise<string> {
    await this.#cluster.agent?.stop()
    await this.#cluster.server?.stop()
    await this.#nothingIsLeft(0)
    const writes = this.#forNode.acknowledged + this.#forNobody.acknowledged
    assert.ok(writes > kills && this.#tokens.spent > 0 && this.#updates > kills / 5)
    return `${writes} writes acknowledged, ${this.#tokens.spent} tokens spent, ${this.#updates} updates of the workload, slowest recovery ${Math.round(this.#slowestMs)} ms`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort()
    await this.#workload[Symbol.asyncDispose]()
    await this.#admin[Symbol.asyncDispose]()
    await this.#attesting?.stop(0)
  }

  /** The workload has its X509-SVID, which its bundle vouches for, and a JWT-SVID that only the server can have made just now. */
  async #workloadIsServed(audience: string): Promise<void> {
    const id = this.#cluster.id('/workload')
    const context = await this.#again(() => this.#workload.fetchX509Context({ timeoutMs: 5_000 }))
    const mine = context.svids.find(svid => svid.id.toString() === id)
    assert.ok(mine, `the workload has ${context.svids.map(svid => svid.id.toString()).join(', ')}`)
    await verifyX509Svid(mine.certificates, context.bundles)
    const token = await this.#again(() => this.#workload.fetchJwtSvid({ audience, timeoutMs: 5_000 }))
    await this.#workload.validateJwtSvid(token.marshal(), audience)
  }

  /** Asks until there is an answer. */
  async #again<T>(ask: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + boundMs
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (Date.now() > deadline) throw error
        await sleep(50)
      }
    }
  }

  async #callForTokens(round: number, signal: AbortSignal): Promise<void> {
    for (let count = 0; !signal.aborted; count++) {
      const audience = `load-${round}-${count}`
      await this.#workload.fetchJwtSvid({ audience, signal, timeoutMs: 5_000 }).catch(() => sleep(20))
    }
  }

  /** Every authority that the server publishes has reached the agent. */
  async #bundleIsKnown(): Promise<void> {
    const { x509Authorities } = await this.#admin.call(bundleV1.Bundle.method.getBundle, {})
    await until(async () => {
      const bundles = await this.#again(() => this.#workload.fetchX509Bundles({ timeoutMs: 5_000 }))
      return (
        bundles.get(TrustDomain.parse(this.#cluster.trustDomain))?.x509Authorities.length === x509Authorities.length
      )
    }, boundMs)
  }

  async #startFreshAgent(name: number | string): Promise<FreshAgent> {
    const cluster = this.#cluster
    const folder = cluster.path(`fresh-${name}`)
    await mkdir(folder, { mode: 0o700 })
    const { value: token } = await this.#admin.call(agentV1.Agent.method.createJoinToken, { ttl: 600 })
    const text = await readFile(cluster.path('agent.conf'), 'utf8')
    const configuration = text
      .replaceAll(cluster.path('agent'), folder)
      .replaceAll(cluster.path('token'), join(folder, 'token'))
    await writeFile(join(folder, 'agent.conf'), configuration, { mode: 0o600 })
    await writeFile(join(folder, 'token'), token, { mode: 0o600 })
    const { x509Authorities } = await this.#admin.call(bundleV1.Bundle.method.getBundle, {})
    const bundle = pemEncode('CERTIFICATE', ...x509Authorities.map(({ asn1 }) => asn1))
    await writeFile(cluster.path('bundle.pem'), bundle, { mode: 0o600 })
    const fresh = { folder, token, daemon: startFresh(folder) }
    this.#attesting = fresh.daemon
    return fresh
  }

  async #restartFresh(fresh: FreshAgent): Promise<void> {
    fresh.daemon = startFresh(fresh.folder)
    this.#attesting = fresh.daemon
  }

  /** It got in with its token, which is of no use to anybody else, and gets in again without it. */
  async #freshAgentIsIn(fresh: FreshAgent): Promise<void> {
    const socket = join(fresh.folder, 'public', 'api.sock')
    await untilServing(fresh.daemon, socket, boundMs)
    await this.#tokens.refusesAnotherKey(fresh.token)
    await assertClean(fresh.folder, 2)
    await kill(fresh.daemon)
    this.#attesting = undefined
    await rm(fresh.folder, { recursive: true })
  }

  async #nothingIsLeft(atMost: number): Promise<void> {
    await assertClean(this.#cluster.path('server'), atMost)
    await assertClean(this.#cluster.path('agent'), atMost)
  }
}

interface FreshAgent {
  readonly folder: string
  readonly token: string
  daemon: Daemon
}

function startFresh(folder: string): Daemon {
  const args = ['run', '-config', join(folder, 'agent.conf'), '-stopWhenStdinCloses']
  return Daemon.start('agent', launcher('plastron-agent'), args, join(folder, 'agent.log'))
}

/** No file was set aside as damaged, and half-written ones do not pile up. */
async function assertClean(folder: string, atMost: number): Promise<void> {
  const names = await readdir(folder, { recursive: true })
  assert.deepEqual(
    names.filter(name => name.includes('unusable')),
    [],
  )
  const halves = names.filter(name => /\.(tmp|new|creating)$/.test(name))
  assert.ok(halves.length <= atMost, `half-written files are left: ${halves.join(' ')}`)
}
