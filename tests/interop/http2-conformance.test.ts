import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { Http2Connection } from '../../packages/runtime/src/http2/connection.ts'
import { encodeHeaders } from '../../packages/runtime/src/http2/header-encoder.ts'
import type { Http2Stream } from '../../packages/runtime/src/http2/stream.ts'
import { http2Conformance } from '../support/peers.ts'
import { runProgram } from '../support/run-program.ts'

const limits = {
  maxHeaderBytes: 64 << 10,
  maxHeaders: 128,
  maxStreams: 100,
  maxKeptBytes: 32 << 20,
  maxUnsentBytes: 32 << 20,
  streamResetBurst: 1000,
  streamResetRate: 33,
  tinyFrameBurst: 4096,
  tinyFrameRate: 256,
}
const headers = encodeHeaders([
  [':status', '200'],
  ['content-type', 'text/plain'],
])
const trailers = encodeHeaders([['x-end', 'yes']])

test('h2spec finds nothing that our HTTP/2 does otherwise than RFC 9113 and RFC 7541', {
  skip: http2Conformance.skip,
}, async () => {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    const onStream = (stream: Http2Stream) =>
      stream.read({ data: () => 0, end: () => stream.answer(headers, Buffer.from('hello world'), trailers) })
    new Http2Connection(socket, limits, { onStream }, () => performance.now())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    const { code, stdout } = await runProgram(http2Conformance.command, ['-h', '127.0.0.1', '-p', `${port}`, '-o', '3'])
    const [, tests, passed, skipped, failed] =
      /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(stdout)?.map(Number) ?? []
    assert.equal(failed, 0, stdout.slice(stdout.indexOf('Failures')))
    assert.equal(code, 0)
    assert.equal(skipped, 0)
    assert.equal(passed, tests)
    assert.ok((tests ?? 0) >= 145, `${tests} tests`)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
})
