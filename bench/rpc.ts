import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { GrpcConnection } from './grpc-connection.ts'

/** What is needed of a method to call it. */
export interface Method<I extends DescMessage, O extends DescMessage> {
  readonly name: string
  readonly parent: { readonly typeName: string }
  readonly input: I
  readonly output: O
}

/** `/package.Service/Method` */
export function pathOf(method: { readonly name: string; readonly parent: { readonly typeName: string } }): string {
  return `/${method.parent.typeName}/${method.name}`
}

/** The bytes of a message, for requests that are sent many times. */
export function encode<M extends DescMessage>(schema: M, fields: MessageInitShape<M>): Uint8Array {
  return toBinary(schema, create(schema, fields))
}

/** One call, encoded and decoded here: for preparing, not for what is measured. */
export async function call<I extends DescMessage, O extends DescMessage>(
  connection: GrpcConnection,
  method: Method<I, O>,
  request: MessageInitShape<I>,
): Promise<MessageShape<O>> {
  return fromBinary(method.output, await connection.unary(pathOf(method), encode(method.input, request)))
}
