import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { svidV1 } from '@plastron/api'
import type { EncodedMessage } from '@plastron/runtime'
import { SpiffeId } from '@plastron/spiffe'
import type { IssuedToken, IssuedX509 } from '../issuance/issuer.ts'
import { itemOk } from './status.ts'
import { tokenResponse, witBatchResponse, x509BatchResponse, x509Response } from './svid-messages.ts'

const id = SpiffeId.parse('spiffe://example.org/ns/prod/web')
const x509: IssuedX509 = {
  id,
  chain: [Buffer.alloc(700, 1), Buffer.alloc(20_000, 2)],
  serialNumber: 5n,
  notAfter: new Date('2100-01-01T00:00:00Z'),
}
const token: IssuedToken = {
  id,
  token: 'h.'.padEnd(900, 'x'),
  issuedAt: new Date('2026-01-01T00:00:00Z'),
  expiresAt: new Date('2026-01-01T00:05:00Z'),
}
const idMessage = { trustDomain: 'example.org', path: '/ns/prod/web' }
const x509Message = (hint: string) => ({
  certChain: x509.chain.map(der => Uint8Array.from(der)),
  id: idMessage,
  expiresAt: 4102444800n,
  hint,
})
const tokenMessage = (hint: string) => ({
  token: token.token,
  id: idMessage,
  issuedAt: 1767225600n,
  expiresAt: 1767225900n,
  hint,
})
const refused = { code: 5, message: 'entry not found or not authorized' }

function same<Desc extends DescMessage>(encoded: EncodedMessage, schema: Desc, value: MessageInitShape<Desc>): void {
  assert.deepEqual(Buffer.from(encoded.bytes), Buffer.from(toBinary(schema, create(schema, value))))
}

describe('what is written by hand is what the stock codec writes', () => {
  test('a minted X509-SVID', () => {
    same(x509Response(x509), svidV1.MintX509SVIDResponseSchema, { svid: x509Message('') })
  })

  test('tokens, minted and of an entry', () => {
    same(tokenResponse(token), svidV1.MintJWTSVIDResponseSchema, { svid: tokenMessage('') })
    same(tokenResponse(token), svidV1.MintWITSVIDResponseSchema, { svid: tokenMessage('') })
    same(tokenResponse(token, 'internal ✓'), svidV1.NewJWTSVIDResponseSchema, { svid: tokenMessage('internal ✓') })
  })

  test('batches with results of both kinds, and an empty one', () => {
    same(
      x509BatchResponse([{ status: itemOk, svid: { issued: x509, hint: 'h' } }, { status: refused }]),
      svidV1.BatchNewX509SVIDResponseSchema,
      { results: [{ status: itemOk, svid: x509Message('h') }, { status: refused }] },
    )
    same(
      witBatchResponse([{ status: refused }, { status: itemOk, svid: { issued: token, hint: '' } }]),
      svidV1.BatchNewWITSVIDResponseSchema,
      { results: [{ status: refused }, { status: itemOk, svid: tokenMessage('') }] },
    )
    same(x509BatchResponse([]), svidV1.BatchNewX509SVIDResponseSchema, { results: [] })
  })
})
