import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf'
import { GrpcError } from './grpc-error.ts'

/** Fields that a message does not have are skipped: nobody looks at them, and kept ones cost a hundred times their size. */
const OPTIONS = { readUnknownFields: false }

/**
 * A request from its bytes.
 *
 * @throws {GrpcError} `INTERNAL` for bytes that are no such message
 */
export function decodeRequest(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes, OPTIONS)
  } catch (cause) {
    throw new GrpcError('INTERNAL', `the request is not a ${schema.typeName}`, { cause })
  }
}
