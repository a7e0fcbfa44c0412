import { workload } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import { cycle } from '../keys.ts'
import type { Contestant, LineGroup } from '../line.ts'
import { encode, pathOf } from '../rpc.ts'
import { rateLine } from './rate-line.ts'

const { fetchX509SVID, fetchJWTSVID } = workload.SpiffeWorkloadAPI.method

/** What every caller of the Workload API sends. */
export const workloadHeaders = { 'workload.spiffe.io': 'true' }

/** Connections to the shared agent, once it has the workload's SVID. */
async function workloadConnections(contestant: Contestant, stack: AsyncDisposableStack, count: number) {
  const { agentSocket, agentPid } = await contestant.shared()
  if (agentSocket === undefined) throw new Error('there is no agent; see bench/README.md')
  await untilServed(agentSocket)
  const connections = []
  for (let number = 0; number < count; number++)
    connections.push(stack.use(await connectUnix(agentSocket, workloadHeaders)))
  return { agentPid, connections }
}

/** Waits until the agent gives this process an SVID. */
export async function untilServed(agentSocket: string): Promise<void> {
  const deadline = Date.now() + 60_000
  while (true) {
    using connection = await connectUnix(agentSocket, workloadHeaders)
    try {
      await connection.first(pathOf(fetchX509SVID), encode(fetchX509SVID.input, {}))
      return
    } catch (error) {
      if (Date.now() > deadline) throw new Error('the agent gives this user no SVID', { cause: error })
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

const fetchX509 = (name: string, work: string, concurrency: number, items: number): LineGroup =>
  rateLine({
    name,
    work,
    items,
    concurrency,
    prepare: async (contestant, stack) => {
      const { agentPid, connections } = await workloadConnections(contestant, stack, concurrency)
      const request = encode(fetchX509SVID.input, {})
      const path = pathOf(fetchX509SVID)
      return { pid: agentPid, run: index => cycle(connections, index).first(path, request) }
    },
  })

/** The Workload API: a new stream to its first answer, and a JWT-SVID that the agent holds. */
export const fetchLines: readonly LineGroup[] = [
  fetchX509('fetch-x509', 'a new X.509 stream of the Workload API to its first answer, 16 at once', 16, 20_000),
  fetchX509('fetch-x509-1', 'the same, one at a time', 1, 5_000),
  rateLine({
    name: 'fetch-jwt',
    work: 'a cached JWT-SVID from the Workload API, 16 at once',
    items: 20_000,
    concurrency: 16,
    prepare: async (contestant, stack) => {
      const { agentPid, connections } = await workloadConnections(contestant, stack, 16)
      const request = encode(fetchJWTSVID.input, { audience: ['bench'] })
      const path = pathOf(fetchJWTSVID)
      return { pid: agentPid, run: index => cycle(connections, index).unary(path, request) }
    },
  }),
]
