import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { EntrySchema } from '@plastron/api/types/entry'
import { entryBlock } from './entry-block.ts'

describe('entryBlock', () => {
  test('SRV-CLI-048 prints the lines that every entry has', () => {
    const entry = create(EntrySchema, {
      id: '7245d7fd-92aa-4d4f-8c0b-2b02e3542c10',
      spiffeId: { trustDomain: 'example.org', path: '/w' },
      parentId: { trustDomain: 'example.org', path: '/node' },
      selectors: [{ type: 'unix', value: 'uid:0' }],
    })
    assert.equal(
      entryBlock(entry),
      `Entry ID                : 7245d7fd-92aa-4d4f-8c0b-2b02e3542c10
SPIFFE ID               : spiffe://example.org/w
Parent ID               : spiffe://example.org/node
Revision                : 0
X509-SVID TTL           : default
JWT-SVID TTL            : default
Selector                : unix:uid:0

`,
    )
  })

  test('SRV-CLI-048 prints what is set, and (none) for an entry without an ID', () => {
    const entry = create(EntrySchema, {
      spiffeId: { trustDomain: 'example.org', path: '/w2' },
      parentId: { trustDomain: 'example.org', path: '/node' },
      selectors: [
        { type: 'unix', value: 'uid:1' },
        { type: 'unix', value: 'gid:3' },
      ],
      x509SvidTtl: 60,
      downstream: true,
      expiresAt: 1_900_000_000n,
      federatesWith: ['spiffe://o.org'],
      dnsNames: ['a.b'],
      admin: true,
      storeSvid: true,
      hint: 'h',
      additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: true },
    })
    assert.equal(
      entryBlock(entry),
      `Entry ID                : (none)
SPIFFE ID               : spiffe://example.org/w2
Parent ID               : spiffe://example.org/node
Revision                : 0
Downstream              : true
X509-SVID TTL           : 60
JWT-SVID TTL            : default
Expiration time         : 2030-03-17 17:46:40 +0000 UTC
Selector                : unix:uid:1
Selector                : unix:gid:3
FederatesWith           : spiffe://o.org
DNS name                : a.b
Admin                   : true
StoreSvid               : true
Hint                    : h
DisableX509SvidPrefetch : true
JwtSvidIncludeJti       : true

`,
    )
  })
})
