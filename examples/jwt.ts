// Fetches a JWT-SVID for an audience, and verifies it as the audience would: by the Workload API, and here.
//   SPIFFE_ENDPOINT_SOCKET=unix:///… node examples/jwt.ts audience
import { verifyJwtSvid } from '@plastron/spiffe'
import { JwtSource, WorkloadApiClient } from '@plastron/spiffe/workload'

const audience = process.argv[2] ?? 'audience'
await using client = new WorkloadApiClient()
await using source = await JwtSource.create({ client })

// The caller sends it in the header "Authorization: Bearer …". It is a secret: it is not printed here.
const token = (await source.fetchJwtSvid({ audience })).marshal()

const byApi = await client.validateJwtSvid(token, audience)
const here = await verifyJwtSvid(token, source, { audience })
console.log(`${byApi.id} for ${here.audience.join(', ')} until ${here.expiresAt.toISOString()}`)
