import { svidV1 } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import { certificateRequests, cycle, distinctKeys } from '../keys.ts'
import type { LineGroup } from '../line.ts'
import { encode, pathOf } from '../rpc.ts'
import { rateLine } from './rate-line.ts'

const { mintX509SVID, mintJWTSVID } = svidV1.SVID.method

const mintX509 = (name: string, work: string, concurrency: number, items: number): LineGroup =>
  rateLine({
    name,
    work,
    items,
    concurrency,
    prepare: async (contestant, stack) => {
      const target = await contestant.shared()
      const admin = stack.use(await connectUnix(target.serverSocket))
      const csrs = await certificateRequests(distinctKeys, `spiffe://${target.trustDomain}/bench`)
      const requests = csrs.map(csr => encode(mintX509SVID.input, { csr }))
      const path = pathOf(mintX509SVID)
      return { pid: target.serverPid, run: index => admin.unary(path, cycle(requests, index)) }
    },
  })

/** Issuance on its own, over the admin socket. */
export const mintLines: readonly LineGroup[] = [
  mintX509('mint-x509', 'an X509-SVID minted over the admin socket, 16 at once', 16, 20_000),
  mintX509('mint-x509-1', 'the same, one at a time', 1, 3_000),
  rateLine({
    name: 'mint-jwt',
    work: 'a JWT-SVID minted over the admin socket, 16 at once',
    items: 20_000,
    concurrency: 16,
    prepare: async (contestant, stack) => {
      const { serverSocket, serverPid, trustDomain } = await contestant.shared()
      const admin = stack.use(await connectUnix(serverSocket))
      const requests = Array.from({ length: distinctKeys }, (_, number) =>
        encode(mintJWTSVID.input, { id: { trustDomain, path: `/bench/${number}` }, audience: ['bench'] }),
      )
      const path = pathOf(mintJWTSVID)
      return { pid: serverPid, run: index => admin.unary(path, cycle(requests, index)) }
    },
  }),
]
