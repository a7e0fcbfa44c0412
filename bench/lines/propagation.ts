import { fromBinary } from '@bufbuild/protobuf'
import { entryV1, workload } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import { createEntries, entryOf } from '../entries.ts'
import type { GrpcConnection } from '../grpc-connection.ts'
import type { LineGroup, RunFigures } from '../line.ts'
import { summary } from '../load.ts'
import { call, encode, pathOf } from '../rpc.ts'
import { nodePath, type StartedTarget } from '../target.ts'
import { untilServed, workloadHeaders } from './fetch.ts'
import { freshLines, settle } from './fresh-line.ts'

const { fetchX509SVID } = workload.SpiffeWorkloadAPI.method

/** The SPIFFE IDs that a workload has been given, as they change. The agent's base entry keeps the stream open. */
class Watcher implements Disposable {
  readonly #connection: GrpcConnection
  #ids = new Set<string>()
  #changed = () => {}
  #failure: Error | undefined

  private constructor(connection: GrpcConnection) {
    this.#connection = connection
    const held = connection.hold(pathOf(fetchX509SVID), encode(fetchX509SVID.input, {}), message => {
      this.#ids = new Set(fromBinary(fetchX509SVID.output, message).svids.map(({ spiffeId }) => spiffeId))
      this.#changed()
    })
    void held.ended.then(() => {
      this.#failure = new Error("the workload's stream ended")
      this.#changed()
    })
  }

  static async open(agentSocket: string): Promise<Watcher> {
    await untilServed(agentSocket)
    return new Watcher(await connectUnix(agentSocket, workloadHeaders))
  }

  /** Resolves when the workload has the id, or has it no more. */
  until(id: string, present: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#changed = () => {
        if (this.#failure !== undefined) reject(this.#failure)
        else if (this.#ids.has(id) === present) resolve()
      }
      this.#changed()
    })
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]()
  }
}

/** However slow changes arrive, a run ends; three times they are waited for in any case. */
const enoughSeconds = 45

/** Registers a workload and deletes it again, a number of times, with a real agent and a held stream. */
export async function measurePropagation(
  target: StartedTarget,
  count: number,
  [registered, deleted]: readonly [string, string],
): Promise<RunFigures> {
  using admin = await connectUnix(target.serverSocket)
  using watcher = await Watcher.open(target.agentSocket)
  const appeared: number[] = []
  const gone: number[] = []
  const started = performance.now()
  const enough = (number: number) => number >= 3 && performance.now() - started > enoughSeconds * 1000
  for (let number = 0; number < count && !enough(number); number++) {
    const path = `/bench-propagation/${Date.now()}/${number}`
    const id = `spiffe://${target.trustDomain}${path}`
    let began = performance.now()
    const ids = await createEntries(admin, [entryOf(target.trustDomain, path, nodePath)])
    await watcher.until(id, true)
    appeared.push(performance.now() - began)
    began = performance.now()
    await call(admin, entryV1.Entry.method.batchDeleteEntry, { ids })
    await watcher.until(id, false)
    gone.push(performance.now() - began)
    // Not in step with anything that happens at an interval.
    await settle(Math.random() * 200)
  }
  return { [registered]: summary(appeared), [deleted]: summary(gone) }
}

/** From a registration to the SVID in the workload's hand, and from its deletion to the SVID being gone. */
export const propagationLines: LineGroup = freshLines({
  lines: {
    registered: "an entry created until a workload's stream has its SVID",
    deleted: "an entry deleted until a workload's stream has its SVID no more",
  },
  slow: true,
  run: async (contestant, effort) => {
    await using target = await contestant.fresh({ agent: true })
    return await measurePropagation(target, effort.count(200), ['registered', 'deleted'])
  },
})
