import { create } from '@bufbuild/protobuf'
import { type Entry, EntrySchema } from '@plastron/api/types/entry'
import { SPIFFEIDSchema } from '@plastron/api/types/spiffeid'
import { boolFlag, CliError, type FlagValues, intFlag, listFlag, textFlag } from '@plastron/runtime/cli'
import { parseId, parseSelector } from './arguments.ts'

/** The flags that `entry create` and `entry update` share. */
export const entryFlags = {
  admin: boolFlag("If set, the SPIFFE ID in this entry will be granted access to the SPIRE Server's management APIs"),
  data: textFlag("Path to a file containing registration JSON (optional). If set to '-', read the JSON from stdin."),
  disableX509SVIDPrefetch: boolFlag(
    'If set, agents do not fetch the X509-SVID of this entry before a workload asks for it',
  ),
  dns: listFlag(
    'A DNS name that will be included in SVIDs issued based on this entry, where appropriate. Can be used more than once',
  ),
  downstream: boolFlag('If set, the entry describes a downstream SPIRE server'),
  entryExpiry: intFlag('An expiry, from epoch in seconds, for the resulting registration entry to be pruned'),
  federatesWith: listFlag('SPIFFE ID of a trust domain to federate with. Can be used more than once'),
  hint: textFlag('The entry hint, used to disambiguate entries with the same SPIFFE ID'),
  jwtSVIDIncludeJTI: boolFlag(
    "If set, JWT-SVIDs of this entry carry a unique 'jti' claim and are not cached by agents",
  ),
  jwtSVIDTTL: intFlag('The lifetime, in seconds, for JWT-SVIDs issued based on this registration entry.'),
  parentID: textFlag("The SPIFFE ID of this record's parent"),
  selector: listFlag('A colon-delimited type:value selector. Can be used more than once'),
  spiffeID: textFlag('The SPIFFE ID that this record represents'),
  storeSVID: boolFlag('If set, the SVID of this entry is stored through an SVIDStore plugin'),
  x509SVIDTTL: intFlag('The lifetime, in seconds, for x509-SVIDs issued based on this registration entry.'),
}

const int32Max = 2_147_483_647

/** The entry that the flags describe; refuses what the server would refuse anyway, by the flag's name. */
export function entryFromFlags(values: FlagValues<typeof entryFlags>, id: string, node = false): Entry {
  if (values.selector.length === 0) throw new CliError('at least one selector is required')
  if (values.spiffeID === '') throw new CliError('a SPIFFE ID is required')
  if (!node && values.parentID === '') throw new CliError('a parent ID is required if the node flag is not set')
  if (node && values.federatesWith.length > 0) throw new CliError('node entries can not federate')
  for (const [flag, ttlSeconds] of [
    ['x509SVIDTTL', values.x509SVIDTTL],
    ['jwtSVIDTTL', values.jwtSVIDTTL],
  ] as const) {
    if (ttlSeconds < 0) throw new CliError(`a positive ${flag} is required`)
    if (ttlSeconds > int32Max) throw new CliError(`-${flag} is larger than ${int32Max} seconds`)
  }
  const spiffeId = parseId(values.spiffeID, 'spiffeID')
  const parentId = node
    ? create(SPIFFEIDSchema, { trustDomain: spiffeId.trustDomain, path: '/spire/server' })
    : parseId(values.parentID, 'parentID')
  return create(EntrySchema, {
    id,
    spiffeId,
    parentId,
    selectors: values.selector.map(parseSelector),
    x509SvidTtl: values.x509SVIDTTL,
    jwtSvidTtl: values.jwtSVIDTTL,
    federatesWith: [...values.federatesWith],
    admin: values.admin,
    downstream: values.downstream,
    expiresAt: BigInt(values.entryExpiry),
    dnsNames: [...values.dns],
    storeSvid: values.storeSVID,
    hint: values.hint,
    ...(values.disableX509SVIDPrefetch || values.jwtSVIDIncludeJTI
      ? {
          additionalAttributes: {
            disableX509SvidPrefetch: values.disableX509SVIDPrefetch,
            jwtSvidIncludeJti: values.jwtSVIDIncludeJTI,
          },
        }
      : {}),
  })
}
