import type { types } from '@plastron/api'
import { documentEnd } from '../upstream/document-end.ts'
import type { ServerConnection } from '../upstream/server-connection.ts'
import type { WitResult } from './wit-issuer.ts'
import type { X509Result } from './x509-issuer.ts'

/** The calls by which an agent gets documents, over whichever connection is in use. `endsAt`: when the first of those ends that they replace. */
export interface ServerCalls {
  readonly mintX509: (
    requests: readonly { readonly entryId: string; readonly csr: Uint8Array }[],
    signal: AbortSignal,
    endsAt?: Date,
  ) => Promise<readonly X509Result[]>
  readonly mintJwt: (
    entryId: string,
    audience: readonly string[],
    signal: AbortSignal,
    endsAt?: Date,
  ) => Promise<types.JWTSVID | undefined>
  readonly mintWit: (
    request: { readonly entryId: string; readonly publicKey: Uint8Array; readonly signingAlgorithm: string },
    signal: AbortSignal,
    endsAt?: Date,
  ) => Promise<WitResult | undefined>
}

/** Each call has 30 s (AGT-SYNC-004). */
export function serverCalls(connection: () => ServerConnection): ServerCalls {
  return {
    async mintX509(requests, signal, endsAt) {
      const options = { signal, headers: documentEnd(endsAt) }
      const { results } = await connection().svid.batchNewX509SVID({ params: [...requests] }, options)
      return results
    },
    async mintJwt(entryId, audience, signal, endsAt) {
      const options = { signal, headers: documentEnd(endsAt) }
      const { svid } = await connection().svid.newJWTSVID({ entryId, audience: [...audience] }, options)
      return svid
    },
    async mintWit(request, signal, endsAt) {
      const options = { signal, headers: documentEnd(endsAt) }
      const { results } = await connection().svid.batchNewWITSVID({ params: [request] }, options)
      return results[0]
    },
  }
}
