import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import { GrpcError } from './grpc-error.ts'

/** Messages that are inflated at a time, in the whole process: each takes memory that its caller did not have to send. */
const MAX_AT_ONCE = 2
/** Those that may wait: their callers may have gone. */
const MAX_WAITING = 1024

let running = 0
/** Those that wait, the oldest first. */
const waiting: (() => void)[] = []
const inflaters = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const

/**
 * The bytes of a compressed message, when its turn has come.
 *
 * @param encoding the call's `grpc-encoding`
 * @param isWanted looked at when its turn has come
 * @throws {GrpcError} `UNIMPLEMENTED` for an unknown encoding, `RESOURCE_EXHAUSTED` when it inflates above the bound, `INTERNAL` when it is damaged,
 * `CANCELLED` when it is not wanted any more, `UNAVAILABLE` when too many wait
 */
export async function inflated(
  bytes: Uint8Array,
  encoding: string | undefined,
  maxOutputLength: number,
  isWanted: () => boolean,
): Promise<Uint8Array> {
  if (encoding === undefined || encoding === 'identity')
    throw new GrpcError('INTERNAL', 'a message says that it is compressed, but the call names no encoding')
  if (encoding !== 'gzip' && encoding !== 'deflate') {
    throw new GrpcError(
      'UNIMPLEMENTED',
      `messages compressed with ${JSON.stringify(encoding.slice(0, 40))} are not read`,
    )
  }
  if (waiting.length >= MAX_WAITING) throw new GrpcError('UNAVAILABLE', 'too many compressed messages come at once')
  if (running < MAX_AT_ONCE) running += 1
  // Whoever has ended gives its place to the next.
  else await new Promise<void>(resolve => waiting.push(resolve))
  try {
    if (!isWanted()) throw new GrpcError('CANCELLED', 'the caller has gone')
    return await inflaters[encoding](bytes, { maxOutputLength })
  } catch (cause) {
    if (cause instanceof GrpcError) throw cause
    // What zlib throws at its bound; damaged input is an Error.
    if (cause instanceof RangeError)
      throw new GrpcError('RESOURCE_EXHAUSTED', `a message inflates to more than ${maxOutputLength} bytes`, { cause })
    throw new GrpcError('INTERNAL', `a message cannot be inflated with ${encoding}`, { cause })
  } finally {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }
}
