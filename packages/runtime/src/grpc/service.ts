import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { MethodDefinition } from '@grpc/grpc-js'
import type { Call } from './call.ts'

/** What a handler may answer with: a message, or the fields to make one of. */
export type Response<O extends DescMessage> = MessageShape<O> | MessageInitShape<O>

type KindOf<M extends DescMethod> = M['methodKind']

/**
 * The function behind one method. A single request comes as a message, a stream of them as an async iterable that throws when the caller goes. A
 * single response is returned, a stream of them yielded: the next one is asked for only when the last one has left for the socket, so that a
 * slow reader holds one message and not a queue.
 */
export type Handler<M extends DescMethod> =
  KindOf<M> extends 'unary'
    ? (request: MessageShape<M['input']>, call: Call) => Promise<Response<M['output']>>
    : KindOf<M> extends 'server_streaming'
      ? (request: MessageShape<M['input']>, call: Call) => AsyncIterable<Response<M['output']>>
      : KindOf<M> extends 'client_streaming'
        ? (requests: AsyncIterable<MessageShape<M['input']>>, call: Call) => Promise<Response<M['output']>>
        : (requests: AsyncIterable<MessageShape<M['input']>>, call: Call) => AsyncIterable<Response<M['output']>>

/** The handlers of a service. A method without one answers `UNIMPLEMENTED`. */
export type Handlers<S extends DescService> = { [K in keyof S['method']]?: Handler<S['method'][K]> }

/** `/package.Service/Method` */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`
}

/** What grpc-js needs to know about a method: its path and how messages become bytes. */
export function methodDefinition<M extends DescMethod>(
  method: M,
): MethodDefinition<MessageShape<M['input']>, MessageShape<M['output']>> & { originalName: string } {
  const { input, output, methodKind } = method
  return {
    path: methodPath(method),
    originalName: method.localName,
    requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    requestSerialize: serializer(input),
    requestDeserialize: bytes => fromBinary(input, bytes) as MessageShape<M['input']>,
    responseSerialize: serializer(output),
    responseDeserialize: bytes => fromBinary(output, bytes) as MessageShape<M['output']>,
  }
}

function serializer(schema: DescMessage): (value: unknown) => Buffer {
  return value => {
    const bytes = toBinary(schema, create(schema, value as MessageInitShape<DescMessage>))
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}
