import { EncodedMessage } from '@plastron/runtime'
import type { SpiffeId } from '@plastron/spiffe'
import { ProtoWriter } from '../encoding/index.ts'
import type { IssuedToken, IssuedX509 } from '../issuance/issuer.ts'
import { type ItemStatus, writeStatus } from './status.ts'

/** A document of a batch, or why there is none. */
export interface SvidResult<Issued> {
  readonly status: ItemStatus
  readonly svid?: Issued | undefined
}

/** An issued document with the hint of its entry. */
export interface WithHint<Issued> {
  readonly issued: Issued
  readonly hint: string
}

// Issuing is the server's most frequent work. These few messages are written without the stock codec, which takes
// several times as long; a test holds them to what that writes (`node bench/run.ts only mint-x509,mint-jwt`).

/** `MintX509SVIDResponse`: a message whose field 1 is the X509-SVID. */
export function x509Response(issued: IssuedX509): EncodedMessage {
  const writer = new ProtoWriter(1536)
  writer.message(1, { issued, hint: '' }, writeX509)
  return new EncodedMessage(writer.finish())
}

/** `MintJWTSVIDResponse`, `NewJWTSVIDResponse` and `MintWITSVIDResponse`, which are alike: field 1 is the token. */
export function tokenResponse(issued: IssuedToken, hint = ''): EncodedMessage {
  const writer = new ProtoWriter(1024)
  writer.message(1, { issued, hint }, writeToken)
  return new EncodedMessage(writer.finish())
}

/** `BatchNewX509SVIDResponse`. */
export function x509BatchResponse(results: readonly SvidResult<WithHint<IssuedX509>>[]): EncodedMessage {
  return batch(results, writeX509)
}

/** `BatchNewWITSVIDResponse`. */
export function witBatchResponse(results: readonly SvidResult<WithHint<IssuedToken>>[]): EncodedMessage {
  return batch(results, writeToken)
}

function batch<Issued>(
  results: readonly SvidResult<Issued>[],
  write: (writer: ProtoWriter, svid: Issued) => void,
): EncodedMessage {
  const writer = new ProtoWriter(1024 * results.length + 64)
  for (const result of results) {
    writer.message(1, result, (inner, { status, svid }) => {
      inner.message(1, status, writeStatus)
      if (svid !== undefined) inner.message(2, svid, write)
    })
  }
  return new EncodedMessage(writer.finish())
}

function writeX509(writer: ProtoWriter, { issued, hint }: WithHint<IssuedX509>): void {
  for (const der of issued.chain) writer.bytes(1, der)
  writer.message(2, issued.id, writeId)
  writer.uint(3, Math.floor(issued.notAfter.getTime() / 1000))
  writer.text(4, hint)
}

function writeToken(writer: ProtoWriter, { issued, hint }: WithHint<IssuedToken>): void {
  writer.text(1, issued.token)
  writer.message(2, issued.id, writeId)
  writer.uint(3, issued.expiresAt.getTime() / 1000)
  writer.uint(4, issued.issuedAt.getTime() / 1000)
  writer.text(5, hint)
}

function writeId(writer: ProtoWriter, { trustDomain, path }: SpiffeId): void {
  writer.text(1, trustDomain.name)
  writer.text(2, path)
}
