import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { deflateSync, gzipSync } from 'node:zlib'
import { bundleV1 } from '@plastron/api'
import { listenUnix } from '../listeners/listen-unix.ts'
import { grpcMessage, uint32 } from '../testing/http2-frames.ts'
import { tempFolder } from '../testing/temp-folder.ts'
import type { Call } from './call.ts'
import { clientOptions } from './channel.ts'
import { connectionLimits, defaultSafeguards } from './safeguards.ts'
import { GrpcServer } from './server.ts'
import { grpcCodeName } from './status-code.ts'

const GET_BUNDLE = '/spire.api.server.bundle.v1.Bundle/GetBundle'
const MIB = 1 << 20

/** A server on a Unix socket that notes which calls reached its handlers, and a plain HTTP/2 client. */
async function house() {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempFolder())
  const calls: Call[] = []
  const server = stack.use(new GrpcServer()).add(bundleV1.Bundle, {
    async getBundle(_request, call) {
      calls.push(call)
      return { trustDomain: 'example.org' }
    },
  })
  const path = join(folder.path, 's')
  stack.use(
    await listenUnix({
      path,
      mode: 0o700,
      folderMode: 0o700,
      lock: { held: true },
      onConnection: (socket, peer) => server.accept(socket, peer),
    }),
  )
  const session = connectHttp2('http://localhost', { createConnection: () => connect(path) })
  session.on('error', () => undefined)
  stack.defer(() => session.destroy())
  const owned = stack.move()
  return {
    server,
    calls,
    path,
    session,
    /** One request and everything about its answer. */
    async request(headers: OutgoingHttpHeaders, body: Uint8Array = grpcMessage(new Uint8Array())) {
      const stream = session.request({
        ':method': 'POST',
        ':path': GET_BUNDLE,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      })
      const all: IncomingHttpHeaders = {}
      stream.on('response', got => Object.assign(all, got))
      stream.on('trailers', got => Object.assign(all, got))
      stream.on('error', () => undefined)
      const chunks: Buffer[] = []
      stream.on('data', chunk => chunks.push(chunk))
      stream.end(body)
      await new Promise(done => stream.once('close', done))
      return {
        http: all[':status'],
        status: all['grpc-status'] === undefined ? undefined : grpcCodeName(Number(all['grpc-status'])),
        message: decodeURI(String(all['grpc-message'] ?? '')),
        body: Buffer.concat(chunks),
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

describe('what reaches a handler', () => {
  test('the path of a method, spelled exactly', async () => {
    await using target = await house()
    const answer = await target.request({})
    assert.equal(answer.status, 'OK')
    assert.match(answer.body.toString('latin1'), /example\.org/)
    const variants = [
      GET_BUNDLE.slice(1),
      `/${GET_BUNDLE}`,
      GET_BUNDLE.replace('/GetBundle', '//GetBundle'),
      GET_BUNDLE.toLowerCase(),
      GET_BUNDLE.toUpperCase(),
      GET_BUNDLE.replace('GetBundle', 'getBundle'),
      `${GET_BUNDLE}/`,
      `${GET_BUNDLE}?`,
      `${GET_BUNDLE}#`,
      `${GET_BUNDLE}%00`,
      GET_BUNDLE.replace('/Get', '%2FGet'),
      GET_BUNDLE.replace('spire', 'spir%65'),
      GET_BUNDLE.replace('/Get', '/./Get'),
      `/a/..${GET_BUNDLE}`,
      '/',
      '*',
      '/constructor/prototype',
      '/__proto__',
      `/${'x'.repeat(8000)}`,
      '/spire.api.server.bundle.v1.Bundle/AppendBundle',
      '/spire.api.server.agent.v1.Agent/ListAgents',
    ]
    for (const path of variants) {
      const refused = await target.request({ ':path': path })
      // HTTP/2 itself ends a stream whose path does not begin with a slash.
      if (path.startsWith('/') || refused.status) assert.equal(refused.status, 'UNIMPLEMENTED', path)
      assert.ok(refused.message.length < 300)
    }
    assert.equal(target.calls.length, 1)
  })

  test('a path with bytes that a header cannot carry back does not end the server', async () => {
    await using target = await house()
    const refused = await target.request({ ':path': '/caf\u00e9\u0080/x' })
    assert.equal(refused.status, 'UNIMPLEMENTED')
    assert.equal((await target.request({})).status, 'OK')
  })

  test('only POST, and only gRPC', async () => {
    await using target = await house()
    assert.equal((await target.request({ ':method': 'GET' })).http, 405)
    assert.equal((await target.request({ ':method': 'OPTIONS' })).http, 405)
    for (const type of ['application/json', 'text/html', 'application/grpcx', 'application/grp', ''])
      assert.equal((await target.request({ 'content-type': type })).http, 415, type)
    for (const type of ['application/grpc+proto', 'application/grpc;charset=utf-8'])
      assert.equal((await target.request({ 'content-type': type })).status, 'OK', type)
    assert.equal(target.calls.length, 2)
  })

  test('a timeout of weeks is as good as none, and one that makes no sense is refused', async () => {
    await using target = await house()
    for (const timeout of ['99999999H', '99999999S', '2592000S'])
      assert.equal((await target.request({ 'grpc-timeout': timeout })).status, 'OK', timeout)
    assert.equal(target.calls.at(-1)?.deadline, undefined)
    assert.equal((await target.request({ 'grpc-timeout': '30S' })).status, 'OK')
    const left = (target.calls.at(-1)?.deadline?.getTime() ?? 0) - Date.now()
    assert.ok(left > 20_000 && left <= 30_000)
    assert.equal((await target.request({ 'grpc-timeout': 'soon' })).status, 'INTERNAL')
  })
})

describe('messages', () => {
  test('one above the limit is refused as it arrives', async () => {
    await using target = await house()
    const prefix = Buffer.concat([Buffer.of(0), uint32(4 * MIB + 1)])
    const refused = await target.request({}, Buffer.concat([prefix, Buffer.alloc(1000)]))
    assert.equal(refused.status, 'RESOURCE_EXHAUSTED')
    assert.equal(target.calls.length, 0)
  })

  test('one that inflates above the limit is refused without being inflated', async () => {
    await using target = await house()
    const bomb = Buffer.alloc(32 * MIB)
    const before = process.memoryUsage().rss
    for (const [encoding, body] of [
      ['gzip', gzipSync(bomb)],
      ['deflate', deflateSync(bomb)],
    ] as const) {
      for (let i = 0; i < 4; i++) {
        const refused = await target.request({ 'grpc-encoding': encoding }, grpcMessage(body, true))
        assert.equal(refused.status, 'RESOURCE_EXHAUSTED', encoding)
      }
    }
    assert.ok(process.memoryUsage().rss - before < 100 * MIB)
    assert.equal(target.calls.length, 0)
  })

  test('one that is compressed and within the limit is taken', async () => {
    await using target = await house()
    assert.equal((await target.request({ 'grpc-encoding': 'gzip' }, grpcMessage(gzipSync(''), true))).status, 'OK')
  })

  test('an unknown encoding, a second message, no message and garbage are refused', async () => {
    await using target = await house()
    const message = grpcMessage(new Uint8Array())
    const outcomes = [
      await target.request({ 'grpc-encoding': 'zstd' }, grpcMessage(new Uint8Array(), true)),
      await target.request({}, Buffer.concat([message, message])),
      await target.request({}, new Uint8Array()),
      await target.request({}, grpcMessage(Buffer.of(0xff, 0xff, 0xff))),
      await target.request({ 'grpc-encoding': 'gzip' }, grpcMessage(randomBytes(100), true)),
    ]
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['UNIMPLEMENTED', 'UNIMPLEMENTED', 'UNIMPLEMENTED', 'INTERNAL', 'INTERNAL'],
    )
    assert.equal(target.calls.length, 0)
  })
})

describe('safeguards', () => {
  test('what the server announces and enforces is what was set', async () => {
    await using target = await house()
    const settings = await new Promise<Record<string, unknown>>(done =>
      target.session.once('remoteSettings', settings => done({ ...settings })),
    )
    assert.equal(settings.maxConcurrentStreams, 256)
    assert.equal(settings.maxHeaderListSize, 64 << 10)
    assert.equal(settings.enablePush, false)
  })

  test('a call with more headers than allowed never becomes one', async () => {
    await using target = await house()
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, 'y']))
    assert.equal((await target.request(many)).status, undefined)
    const large = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`x-${i}`, 'y'.repeat(8000)]))
    assert.equal((await target.request(large)).status, undefined)
    assert.equal(target.calls.length, 0)
    assert.equal((await target.request({})).status, 'OK')
  })

  test('every bound has reached what enforces it', () => {
    const safeguards = {
      maxRequestBytes: 1001,
      maxKeptBytes: 1010,
      maxStreamsPerConnection: 102,
      maxHeaderBytes: 10_003,
      maxHeaders: 104,
      maxUnsentBytes: 1005,
      streamResetBurst: 106,
      streamResetRate: 17,
      maxIdleMs: 108_000,
      maxConnectionAgeMs: 109_000,
      maxSilenceMs: 112_000,
    }
    const limits = { ...defaultSafeguards, ...safeguards }
    assert.deepEqual(new GrpcServer({ safeguards }).safeguards, limits)
    const { maxStreams, ...same } = connectionLimits(limits)
    assert.equal(maxStreams, 102)
    assert.deepEqual({ ...same, maxStreamsPerConnection: maxStreams }, limits)
  })

  test('ADV-10 nothing that a resolver says changes what a client does', () => {
    const options = clientOptions({})
    assert.equal(options['grpc.service_config_disable_resolution'], 1)
    assert.equal(options['grpc.service_config'], '{}')
    assert.equal(options['grpc.enable_http_proxy'], 0)
    assert.equal(options['grpc.enable_retries'], 1)
  })
})
