import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
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
    stop: () => socket[Symbol.asyncDispose](),
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

const failures = (h: Awaited<ReturnType<typeof house>>) =>
  h.log.events.filter(({ message }) => message === 'The socket cannot be opened again')

test('A7 a link or a file at its place is neither followed nor replaced, and the log says so once', async () => {
  await using h = await house()
  await rm(h.path)
  const target = join(h.path, '../target')
  await writeFile(target, 'kept')
  await symlink(target, h.path)
  await h.check()
  await h.check()
  assert.deepEqual(
    failures(h).map(({ level }) => level),
    ['error'],
  )
  assert.equal((await lstat(h.path)).isSymbolicLink(), true)
  assert.equal(await readFile(target, 'utf8'), 'kept')
  await rm(h.path)
  await h.check()
  await eventually(() => h.answers())
  assert.equal(failures(h).length, 1)

  // Another thing at its place is another event.
  await rm(h.path)
  await mkdir(h.path)
  await h.check()
  await h.check()
  assert.equal(failures(h).length, 2)
  await rm(h.path, { recursive: true })
  await h.check()
  await eventually(() => h.answers())
})

test('A7 a socket on which another process answers is left to it, also at the end', async () => {
  await using h = await house()
  await rm(h.path)
  const other = createServer(socket => socket.destroy()).listen(h.path)
  await once(other, 'listening')
  try {
    await h.check()
    await h.check()
    assert.match(String(failures(h)[0]?.fields.error), /another process serves/)
    assert.equal(failures(h).length, 1)
    assert.equal((await lstat(h.path)).isSocket(), true)
  } finally {
    await new Promise(closed => other.close(closed))
  }
  // The other one has gone: the path is free again.
  await h.check()
  await eventually(() => h.answers())
  await rm(h.path)
  await writeFile(h.path, 'precious')
  await h.stop()
  assert.equal(await readFile(h.path, 'utf8'), 'precious')
})

test('A7 a dead socket at its place is replaced, and the connections of the one before go on', async () => {
  await using h = await house()
  using channel = connectUnix(h.path)
  const before = channel.client(health.Health)
  assert.equal((await before.check({})).status, 1)
  // Renamed over it, as a program does that starts beside the agent and dies.
  const dead = `${h.path}.dead`
  const child = spawnSync('perl', [
    '-MIO::Socket::UNIX',
    '-e',
    'IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $ARGV[0], Listen => 1) or die',
    dead,
  ])
  assert.equal(child.status, 0)
  await rename(dead, h.path)
  assert.equal(await h.answers(), false)
  await h.check()
  assert.equal(failures(h).length, 0)
  await eventually(() => h.answers())
  assert.equal((await before.check({})).status, 1)
})
