import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { Outbox } from './outbox.ts'
import { Http2Stream, type StreamOwner } from './stream.ts'

const turn = () => new Promise(setImmediate)

test('while the socket is full nobody is told that it has taken all, whoever else has something to say', async () => {
  const [near, far] = duplexPair({ highWaterMark: 1000 })
  const outbox = new Outbox(far, () => 0)
  const owner: StreamOwner = {
    sendHeaders: (stream, block, last) => outbox.headers(stream.id, block, last),
    sendAnswer: () => false,
    wantsToSend: (stream, data) => outbox.add(stream, data),
    wantsToEnd: stream => outbox.add(stream),
    taken: () => undefined,
    keeps: () => undefined,
    sendReset: () => undefined,
    forget: stream => outbox.remove(stream),
  }
  const stream = (id: number) => new Http2Stream(owner, id, {}, 65_535, 65_535)
  try {
    let taken = 0
    stream(1).write(Buffer.alloc(5000), () => {
      taken += 1
    })
    await turn()
    assert.equal(outbox.blockedSinceMs, 0)
    stream(3).write(Buffer.alloc(5000), () => undefined)
    await turn()
    assert.equal(taken, 0)
    near.resume()
    while (taken === 0) await turn()
    assert.equal(taken, 1)
  } finally {
    near.destroy()
    far.destroy()
  }
})
