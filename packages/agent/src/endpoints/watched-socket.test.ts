import assert from 'node:assert/strict'
import { lstat, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { health } from '@plastron/api'
import { connectUnix, GrpcServer, healthService } from '@plastron/runtime'
import { FakeClock, recordingLogger, tempFolder } from '@plastron/runtime/testing'
import { eventually } from '../testing/test-agent.ts'
import { WatchedSocket } from './watched-socket.ts'

async function house() {
  await using owned = new AsyncDisposableStack()
  const folder = owned.use(await tempFolder())
  const path = join(folder.path, 'public/api.sock')
  const clock = new FakeClock()
  const log = recordingLogger()
  const server = owned.use(new GrpcServer())
  server.add(
    health.Health,
    healthService(async () => true),
  )
  const socket = owned.use(
    await WatchedSocket.open({ path, mode: 0o777, folderMode: 0o755, lock: { held: true }, server, clock, log }),
  )
  const stop = new AbortController()
  const running = socket.run(stop.signal)
  owned.defer(async () => {
    stop.abort()
    await running
  })
  const everything = owned.move()
  return {
    path,
    clock,
    log,
    async answers(): Promise<boolean> {
      using channel = connectUnix(path)
      return await channel
        .client(health.Health)
        .check({})
        .then(
          () => true,
          () => false,
        )
    },
    async check() {
      await clock.untilSleeping(1)
      await clock.advance(5000)
      await clock.untilSleeping(1)
    },
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  }
}

test('A7 a socket or its folder that was removed is made again with its mode', async () => {
  await using h = await house()
  await rm(h.path)
  await h.check()
  await eventually(() => h.answers())
  await rm(join(h.path, '..'), { recursive: true })
  await h.check()
  await eventually(() => h.answers())
  assert.equal((await lstat(h.path)).mode & 0o777, 0o777)
  assert.equal((await lstat(join(h.path, '..'))).mode & 0o777, 0o755)
})

test('A7 a link or a file at its place is neither followed nor replaced', async () => {
  await using h = await house()
  await rm(h.path)
  const target = join(h.path, '../target')
  await writeFile(target, 'kept')
  await symlink(target, h.path)
  await h.check()
  assert.ok(
    h.log.events.some(
      ({ level, message }) => level === 'error' && message.startsWith('The socket cannot be opened again'),
    ),
  )
  assert.equal((await lstat(h.path)).isSymbolicLink(), true)
  assert.equal(await readFile(target, 'utf8'), 'kept')
  await rm(h.path)
  await mkdir(h.path)
  await h.check()
  await rm(h.path, { recursive: true })
  await h.check()
  await eventually(() => h.answers())
})
