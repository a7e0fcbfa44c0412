import type { Entry } from '@plastron/api/types/entry'
import type { SPIFFEID } from '@plastron/api/types/spiffeid'
import { goUtcTime } from '@plastron/runtime/cli'

/** The lines that `entry create`, `update` and `show` print of an entry, ending with an empty one. */
export function entryBlock(entry: Entry): string {
  const lines: (readonly [label: string, value: string])[] = [
    ['Entry ID', entry.id === '' ? '(none)' : entry.id],
    ['SPIFFE ID', spiffeIdText(entry.spiffeId)],
    ['Parent ID', spiffeIdText(entry.parentId)],
    ['Revision', String(entry.revisionNumber)],
  ]
  if (entry.downstream) lines.push(['Downstream', 'true'])
  lines.push(['X509-SVID TTL', ttlText(entry.x509SvidTtl)], ['JWT-SVID TTL', ttlText(entry.jwtSvidTtl)])
  if (entry.expiresAt !== 0n) lines.push(['Expiration time', goUtcTime(new Date(Number(entry.expiresAt) * 1000))])
  for (const { type, value } of entry.selectors) lines.push(['Selector', `${type}:${value}`])
  for (const name of entry.federatesWith) lines.push(['FederatesWith', name])
  for (const name of entry.dnsNames) lines.push(['DNS name', name])
  if (entry.admin) lines.push(['Admin', 'true'])
  if (entry.storeSvid) lines.push(['StoreSvid', 'true'])
  if (entry.hint !== '') lines.push(['Hint', entry.hint])
  if (entry.additionalAttributes?.disableX509SvidPrefetch) lines.push(['DisableX509SvidPrefetch', 'true'])
  if (entry.additionalAttributes?.jwtSvidIncludeJti) lines.push(['JwtSvidIncludeJti', 'true'])
  return `${lines.map(([label, value]) => `${label.padEnd(24)}: ${value}\n`).join('')}\n`
}

/** `spiffe://td/path`, or nothing for an absent ID. */
export function spiffeIdText(id: SPIFFEID | undefined): string {
  return id === undefined ? '' : `spiffe://${id.trustDomain}${id.path}`
}

function ttlText(ttlSeconds: number): string {
  return ttlSeconds === 0 ? 'default' : String(ttlSeconds)
}
