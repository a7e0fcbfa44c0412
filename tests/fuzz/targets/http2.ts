import { encodeHeaders } from '../../../packages/runtime/src/http2/header-encoder.ts'
import { mutateFrames, type WireFrame } from '../mutate-frames.ts'
import type { FuzzTarget } from '../target.ts'
import { Conversation, number, Step } from './http2-conversation.ts'

const none = Buffer.alloc(0)
const setting = (id: number, value: number): WireFrame => ({
  type: 4,
  flags: 0,
  streamId: 0,
  payload: Buffer.concat([Buffer.of(0, id), number(value)]),
})
const request = (streamId: number, flags: number, path: string): WireFrame => ({
  type: 1,
  flags,
  streamId,
  payload: encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
  ]),
})
/** Worth inserting. */
const extra: readonly WireFrame[] = [
  ...Object.values(Step).map(type => ({ type, flags: 0, streamId: type === Step.TIME ? 1000 : 5, payload: none })),
  ...Array.from({ length: 11 }, (_, i) => request(2 * i + 1, i % 2 === 0 ? 5 : 4, `/${String.fromCharCode(100 + i)}`)),
  ...[0, 1, 1000, 65_535, 2 ** 31 - 1].map(value => setting(4, value)),
  ...[1, 1000, 2 ** 30].flatMap(value =>
    [0, 1, 3].map(streamId => ({ type: 8, flags: 0, streamId, payload: number(value) })),
  ),
  ...[1, 3, 5].map(streamId => ({ type: 3, flags: 0, streamId, payload: number(8) })),
  ...[1, 3, 5].map(streamId => ({ type: 0, flags: 1, streamId, payload: Buffer.alloc(600, 'data') })),
  { type: 6, flags: 0, streamId: 0, payload: Buffer.from('how do..') },
  { type: 6, flags: 1, streamId: 0, payload: Buffer.from('goodbye!') },
  { type: 7, flags: 0, streamId: 0, payload: Buffer.alloc(8) },
  setting(5, 16_384),
]

/** The server has given up the connection. */
class Refused extends Error {}

export const http2Targets: readonly FuzzTarget[] = [
  {
    name: 'http2',
    kind: 'bytes',
    allows: error => error instanceof Refused,
    maxBytes: 40_000,
    tokens: ['\0\0\0\u0004\u0001\0\0\0\0', '\0\0\u0004\u0008\0\0\0\0\0\0\0\0\u0001', '/', ':path', 'content-length'],
    mutate: (input, random, pool) => mutateFrames(input, random, pool, extra),
    async run(input) {
      const conversation = new Conversation()
      try {
        await conversation.play(input)
        await conversation.settle()
      } finally {
        await conversation.destroy()
      }
      const { account, handler } = conversation
      const calls = ['no', 'one', 'some'][Math.min(handler.begun, 2)] ?? ''
      if (account.failure !== undefined)
        throw new Refused(`${account.failure.words}; ${calls} calls, ${account.seen.size > 3}`)
      return `${[...account.seen].toSorted().join(' ')}; ${calls} calls`
    },
  },
]
