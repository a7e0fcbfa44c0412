import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { bundleV1 } from '@plastron/api'
import { listenUnix } from '../listeners/listen-unix.ts'
import { tempFolder } from '../testing/temp-folder.ts'
import { connectUnix } from './connect-unix.ts'
import { GrpcError } from './grpc-error.ts'
import { GrpcServer } from './server.ts'

test('an error whose text is too long for the headers of an answer is shortened, and other calls go on', async () => {
  await using folder = await tempFolder()
  await using server = new GrpcServer()
  const going = Promise.withResolvers<void>()
  const details = [
    anyPack(bundleV1.CountBundlesResponseSchema, create(bundleV1.CountBundlesResponseSchema, { count: 7 })),
  ]
  server.add(bundleV1.Bundle, {
    // Each character takes nine octets in a header.
    getBundle: () => Promise.reject(new GrpcError('INVALID_ARGUMENT', `this: ${'€'.repeat(300_000)}`, { details })),
    countBundles: async () => {
      await going.promise
      return { count: 3 }
    },
  })
  const path = join(folder.path, 's')
  const options = { path, mode: 0o700, folderMode: 0o700, lock: { held: true } }
  await using _ = await listenUnix({ ...options, onConnection: (socket, peer) => server.accept(socket, peer) })
  using channel = connectUnix(path)
  const client = channel.client(bundleV1.Bundle)
  const other = client.countBundles({})
  await assert.rejects(client.getBundle({}), (error: unknown) => {
    assert.ok(error instanceof GrpcError)
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.match(error.message, /^this: €+…$/)
    assert.equal(error.message.length, 2000)
    assert.equal(error.detail(bundleV1.CountBundlesResponseSchema)?.count, 7)
    return true
  })
  going.resolve()
  assert.equal((await other).count, 3)
})
