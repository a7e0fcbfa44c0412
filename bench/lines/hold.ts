import { workload } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import type { LineGroup } from '../line.ts'
import { cpuPercentWhile, residentOf } from '../observe.ts'
import { encode, pathOf } from '../rpc.ts'
import { untilServed, workloadHeaders } from './fetch.ts'
import { freshLines, settle } from './fresh-line.ts'

const { fetchX509SVID } = workload.SpiffeWorkloadAPI.method

/** Streams of the Workload API that stay open, one on each connection, as workloads hold them. */
export const holdLines: LineGroup = freshLines({
  lines: {
    'hold-x509': '1,000 X.509 streams of the Workload API held open: growth of the agent for each, its CPU meanwhile',
  },
  run: async (contestant, effort) => {
    await using target = await contestant.fresh({ agent: true })
    const streams = effort.count(1_000)
    const request = encode(fetchX509SVID.input, {})
    const path = pathOf(fetchX509SVID)
    await untilServed(target.agentSocket)
    for (let number = 0; number < 100; number++) {
      using connection = await connectUnix(target.agentSocket, workloadHeaders)
      await connection.first(path, request)
    }
    await settle(Math.max(1, effort.seconds(5)) * 1000)
    const before = residentOf(target.agentPid)
    using stack = new DisposableStack()
    for (let number = 0; number < streams; number++) {
      const connection = stack.use(await connectUnix(target.agentSocket, workloadHeaders))
      await new Promise<void>((resolve, reject) => {
        const held = connection.hold(path, request, () => resolve())
        void held.ended.then(() => reject(new Error('a held stream ended')))
      })
    }
    await settle(effort.seconds(20) * 1000)
    const cpuPercent = await cpuPercentWhile(target.agentPid, () => settle(Math.max(1, effort.seconds(20)) * 1000))
    return { 'hold-x509': { bytesEach: (residentOf(target.agentPid) - before) / streams, cpuPercent } }
  },
})
