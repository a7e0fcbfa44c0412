import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { agentV1 } from '@plastron/api'
import { FakeClock } from '../testing/fake-clock.ts'
import { FrameType, frame, PREFACE } from '../testing/http2-frames.ts'
import { GrpcServer } from './server.ts'
import { methodPath } from './service.ts'

const AGE_MS = 60_000
const GRACE_MS = 180_000

/** A round trip: everything that was sent before it has arrived. */
function ping(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    session.ping(error => (error === null ? resolve() : reject(error)))
  })
}

test('a call that is never sent to its end outlives the age of its connection by the grace and no longer', async () => {
  const clock = new FakeClock()
  await using server = new GrpcServer({ clock, safeguards: { maxConnectionAgeMs: AGE_MS } })
  server.add(agentV1.Agent, { countAgents: async () => ({ count: 1 }) })
  let served: Socket | undefined
  const listener = createServer(socket => {
    served = socket
    server.accept(socket, { kind: 'tls', address: '127.0.0.1', port: 1 })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const session = connect(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`)
  session.on('error', () => undefined)
  try {
    await once(session, 'connect')
    const stream = session.request({
      ':method': 'POST',
      ':path': methodPath(agentV1.Agent.method.countAgents),
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    stream.on('error', () => undefined)
    // The head of a message of 16 bytes and one of them: the rest never comes.
    stream.write(Uint8Array.of(0, 0, 0, 0, 16, 1))
    await ping(session)
    await clock.untilSleeping()

    // Not before nine tenths of the age, at the latest after eleven.
    await clock.advance(AGE_MS * 0.9 - 1000)
    await ping(session)
    assert.equal(session.closed, false)
    const goodbye = once(session, 'goaway')
    await clock.advance(AGE_MS * 0.2 + 2000)
    assert.equal((await goodbye)[0], 0)
    assert.equal(served?.destroyed, false)

    // The look that said goodbye was 12 s and two looks ago at most.
    await clock.advance(GRACE_MS - AGE_MS * 0.2 - 5000)
    assert.equal(served?.destroyed, false)
    const closed = once(session, 'close')
    await clock.advance(AGE_MS * 0.2 + 7000)
    assert.equal(served?.destroyed, true)
    await closed
    assert.equal(server.connectionCount, 0)
  } finally {
    session.destroy()
    listener.close()
  }
})

test('a connection that has not begun to speak HTTP/2, or does not read what is there for it, is cut', async () => {
  const clock = new FakeClock()
  await using server = new GrpcServer({ clock })
  const peer = { kind: 'tls', address: '127.0.0.1', port: 1, identity: undefined } as const
  const silent = new Duplex({ read: () => undefined, write: (_chunk, _encoding, taken) => taken() })
  server.accept(silent, peer)
  // Takes nothing that is written to it.
  const deaf = new Duplex({ read: () => undefined, write: () => undefined, writableHighWaterMark: 16 })
  server.accept(deaf, peer)
  deaf.push(Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0)]))
  while (!deaf.writableNeedDrain) await new Promise(setImmediate)
  await clock.untilSleeping()
  await clock.advance(40_000)
  assert.equal(silent.destroyed, true)
  assert.equal(deaf.destroyed, false)
  await clock.advance(60_000)
  assert.equal(deaf.destroyed, true)
})
