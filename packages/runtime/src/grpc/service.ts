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

/**
 * An answer whose bytes are known already, for a handler that gives the same one to many callers. Whoever makes one vouches that the bytes are a
 * message of the method's output type, and does not change them afterwards.
 */
export class EncodedMessage {
  /** One message in the protobuf encoding, without gRPC's frame. */
  readonly bytes: Uint8Array

  /** @param bytes - kept, not copied; nobody may change them. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** What a handler may answer with: a message, or the fields to make one of. */
export type Response<O extends DescMessage> = MessageShape<O> | MessageInitShape<O>

type Answer<O extends DescMessage> = Response<O> | EncodedMessage

type KindOf<M extends DescMethod> = M['methodKind']

/**
 * The function behind one method. A single request comes as a message, a stream of them as an async iterable that throws when the caller goes. A
 * single response is returned, a stream of them yielded: the next one is asked for only when the last one has left for the socket, so that a
 * slow reader holds one message and not a queue.
 */
export type Handler<M extends DescMethod> =
  KindOf<M> extends 'unary'
    ? (request: MessageShape<M['input']>, call: Call) => Promise<Answer<M['output']>>
    : KindOf<M> extends 'server_streaming'
      ? (request: MessageShape<M['input']>, call: Call) => AsyncIterable<Answer<M['output']>>
      : KindOf<M> extends 'client_streaming'
        ? (requests: AsyncIterable<MessageShape<M['input']>>, call: Call) => Promise<Answer<M['output']>>
        : (requests: AsyncIterable<MessageShape<M['input']>>, call: Call) => AsyncIterable<Answer<M['output']>>

/** The handlers of a service. A method without one answers `UNIMPLEMENTED`. */
export type Handlers<S extends DescService> = { [K in keyof S['method']]?: Handler<S['method'][K]> }

/** Made once: what every call is looked up by must not be put together, and hashed, for every call. */
const paths = new WeakMap<DescMethod, string>()

/** `/package.Service/Method` */
export function methodPath(method: DescMethod): string {
  let path = paths.get(method)
  if (path === undefined) {
    path = `/${method.parent.typeName}/${method.name}`
    paths.set(method, path)
  }
  return path
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

/** How a method's answers become bytes. */
export function serializer(schema: DescMessage): (value: unknown) => Buffer {
  return value => {
    if (value instanceof EncodedMessage) return asBuffer(value.bytes)
    return asBuffer(toBinary(schema, create(schema, value as MessageInitShape<DescMessage>)))
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
