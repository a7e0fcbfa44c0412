import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf'
import { BinaryReader } from '@bufbuild/protobuf/wire'
import { GrpcError } from './grpc-error.ts'

/** Fields that a message does not have are skipped: nobody looks at them, and kept ones cost a hundred times their size. */
const OPTIONS = { readUnknownFields: false }
/**
 * Elements of a list are fields of their own on the wire, and each becomes an object: 2 octets cost a microsecond, during which nobody else is
 * served. No request that makes sense has so many.
 */
const MAX_FIELDS = 65_536
const MIN_FIELD_BYTES = 2

/**
 * A request from its bytes.
 *
 * @throws {GrpcError} `INTERNAL` for bytes that are no such message; `RESOURCE_EXHAUSTED` for more than 65,536 fields, elements of lists counted
 * one by one, those inside others not counted
 */
export function decodeRequest(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    if (bytes.length > MAX_FIELDS * MIN_FIELD_BYTES) refuseManyFields(bytes)
    return fromBinary(schema, bytes, OPTIONS)
  } catch (cause) {
    if (cause instanceof GrpcError) throw cause
    throw new GrpcError('INTERNAL', `the request is not a ${schema.typeName}`, { cause })
  }
}

function refuseManyFields(bytes: Uint8Array): void {
  const reader = new BinaryReader(bytes)
  for (let fields = 1; reader.pos < reader.len; fields++) {
    if (fields > MAX_FIELDS) throw new GrpcError('RESOURCE_EXHAUSTED', `the request has more than ${MAX_FIELDS} fields`)
    const [fieldNumber, wireType] = reader.tag()
    reader.skip(wireType, fieldNumber)
  }
}
