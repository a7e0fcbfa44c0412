import { fromBinary } from '@bufbuild/protobuf'
import { svidV1 } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import { createEntries, entryOf } from '../entries.ts'
import type { GrpcConnection } from '../grpc-connection.ts'
import { certificateRequests, cycle, distinctKeys } from '../keys.ts'
import type { Contestant, LineGroup } from '../line.ts'
import { encode, pathOf } from '../rpc.ts'
import { agentKey, attest } from '../simulated-agent.ts'
import { rateLine } from './rate-line.ts'

const { batchNewX509SVID, newJWTSVID } = svidV1.SVID.method

/** An attested agent of the shared server, with entries of its own that the server already grants to it. */
async function agentWithEntries(contestant: Contestant, stack: AsyncDisposableStack, count: number) {
  const target = await contestant.shared()
  const admin = stack.use(await connectUnix(target.serverSocket))
  const agent = await attest(admin, target, await agentKey())
  const round = `/bench-agent/${Date.now()}`
  const ids = await createEntries(
    admin,
    Array.from({ length: count }, (_, number) => entryOf(target.trustDomain, `${round}/${number}`, agent.path)),
  )
  const connection = stack.use(await agent.connect())
  const csrs = await certificateRequests(distinctKeys)
  await untilGranted(connection, ids.at(-1) as string, csrs[0] as Uint8Array)
  return { target, connection, ids, csrs }
}

/** Waits for servers that see a new entry only after their next reload. */
async function untilGranted(connection: GrpcConnection, entryId: string, csr: Uint8Array): Promise<void> {
  const request = encode(batchNewX509SVID.input, { params: [{ entryId, csr }] })
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline) {
    const answer = fromBinary(batchNewX509SVID.output, await connection.unary(pathOf(batchNewX509SVID), request))
    if (answer.results[0]?.status?.code === 0) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error('the server does not grant the agent its entry')
}

const agentX509 = (name: string, work: string, batch: number, concurrency: number): LineGroup =>
  rateLine({
    name,
    work,
    items: 20_000,
    itemsPerOperation: batch,
    concurrency,
    prepare: async (contestant, stack) => {
      const { target, connection, ids, csrs } = await agentWithEntries(contestant, stack, batch)
      const requests = Array.from({ length: distinctKeys }, (_, number) =>
        encode(batchNewX509SVID.input, {
          params: ids.map((entryId, at) => ({ entryId, csr: cycle(csrs, number * batch + at) })),
        }),
      )
      const path = pathOf(batchNewX509SVID)
      // An answer with documents is far larger than one that refuses each: no need to decode them all.
      const smallest = batch * 300
      return {
        pid: target.serverPid,
        run: async index => {
          const answer = await connection.unary(path, cycle(requests, index))
          if (answer.length < smallest) throw new Error('documents were refused')
        },
      }
    },
  })

/** What one attested agent asks for, over mutual TLS. */
export const oneAgentLines: readonly LineGroup[] = [
  agentX509('agent-x509', 'an agent asks for one X509-SVID a call, 16 at once', 1, 16),
  agentX509('agent-x509-100', 'an agent asks for 100 X509-SVIDs a call, 4 at once', 100, 4),
  rateLine({
    name: 'agent-jwt',
    work: 'an agent asks for a JWT-SVID, 16 at once',
    items: 20_000,
    concurrency: 16,
    prepare: async (contestant, stack) => {
      const { target, connection, ids } = await agentWithEntries(contestant, stack, 1)
      const request = encode(newJWTSVID.input, { entryId: ids[0] as string, audience: ['bench'] })
      const path = pathOf(newJWTSVID)
      return { pid: target.serverPid, run: () => connection.unary(path, request) }
    },
  }),
]
