import type { LineGroup } from '../line.ts'
import { residentOf } from '../observe.ts'
import { untilServed } from './fetch.ts'
import { settle } from './fresh-line.ts'

const mib = 2 ** 20

/** From the start of a process that ran before to its health service saying SERVING, and what it holds when nothing is asked of it. */
export const startLines: LineGroup = {
  lines: {
    'start-server': 'a server that ran before started until it is healthy; its memory while idle',
    'start-agent': 'an agent that attested before started until it is healthy; its memory while idle',
  },
  needsProgram: true,
  prepare: async (contestant, effort) => {
    const target = await contestant.fresh({ agent: true })
    await untilServed(target.agentSocket)
    return {
      run: async () => {
        await target.stopAgent()
        await target.stopServer()
        const server = await target.startServer()
        await settle(500)
        const agent = await target.startAgent()
        await settle(Math.max(1, effort.seconds(5)) * 1000)
        return {
          'start-server': { p50Ms: server, residentMib: residentOf(target.serverPid) / mib },
          'start-agent': { p50Ms: agent, residentMib: residentOf(target.agentPid) / mib },
        }
      },
      [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
    }
  },
}
