import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { GrpcServer } from './server.ts'

test('a peer that never closes its half does not keep its place after the connection has ended', async () => {
  await using server = new GrpcServer({ safeguards: { maxIdleMs: 100 } })
  const closed = Promise.withResolvers<void>()
  const listener = createServer({ allowHalfOpen: true }, socket => {
    socket.once('close', () => closed.resolve())
    server.accept(socket, { kind: 'tls', address: '127.0.0.1', port: 1 })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  // Speaks just enough HTTP/2 to be let in, then ignores the GOAWAY and the end of the server's half.
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  client.on('error', () => undefined)
  try {
    client.write(
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from('000000040000000000', 'hex')]),
    )
    client.resume()
    await closed.promise
    assert.equal(server.connectionCount, 0)
  } finally {
    client.destroy()
    listener.close()
  }
})
