import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { tempFolder } from '../testing/temp-folder.ts'
import { Errno, hasExited, pidfdOpen, SystemCallError } from './linux-process.ts'
import { listenUnix, type UnixListenerOptions } from './listen-unix.ts'
import type { ListenerError } from './listener-error.ts'
import type { UnixPeer } from './peer.ts'
import { assertTrustedSocketFolder } from './socket-folder.ts'

const run = promisify(execFile)

/** A listener in a folder of its own, and what came through it. */
async function listening(options: Partial<UnixListenerOptions> = {}) {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempFolder())
  const path = join(folder.path, 'run', 's')
  const accepted: { socket: Socket; peer: UnixPeer }[] = []
  const refused: ListenerError[] = []
  const listener = stack.use(
    await listenUnix({
      path,
      mode: 0o700,
      folderMode: 0o750,
      lock: { held: true },
      onConnection: (socket, peer) => accepted.push({ socket, peer }),
      onRefused: error => refused.push(error),
      ...options,
    }),
  )
  stack.defer(() => {
    for (const { socket } of accepted) socket.destroy()
  })
  const owned = stack.move()
  return { folder: folder.path, path, listener, accepted, refused, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(setImmediate)
}
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777
const descriptors = async (): Promise<number> => (await readdir('/proc/self/fd')).length

/** A client that says something, as every client does: connections are handed on with their first bytes. */
function speak(path: string): Socket {
  const client = connect(path)
  client.write('x')
  return client
}

/** A process that connects and then does as its code says. Perl starts in a few milliseconds; Node does not. */
function perl(code: string, ...args: string[]) {
  return spawn('perl', ['-MIO::Socket::UNIX', '-e', code, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
}

describe('the socket', () => {
  test('SRV-RUN-010 folder and socket have the given modes, whatever the umask', async () => {
    const umask = process.umask(0o077)
    try {
      await using open = await listening({ mode: 0o777, folderMode: 0o755 })
      assert.equal(await modeOf(open.path), 0o777)
      assert.equal(await modeOf(join(open.folder, 'run')), 0o755)
      await using closed = await listening({ mode: 0o770, folderMode: 0o750 })
      assert.equal(await modeOf(closed.path), 0o770)
      assert.equal(await modeOf(join(closed.folder, 'run')), 0o750)
    } finally {
      process.umask(umask)
    }
  })

  test('an existing folder keeps its mode', async () => {
    await using folder = await tempFolder()
    await using _ = await listening({ path: join(folder.path, 's'), folderMode: 0o755 })
    assert.equal(await modeOf(folder.path), 0o700)
  })

  test('SRV-RUN-010 a socket left by a process that died is replaced', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 's')
    const dead = perl(
      'IO::Socket::UNIX->new(Type=>SOCK_STREAM, Local=>$ARGV[0], Listen=>1) or die; print "1\\n"; $|=1; sleep 60',
      path,
    )
    await until(() => dead.exitCode !== null || dead.pid !== undefined)
    while (!(await stat(path).catch(() => undefined))) await new Promise(setImmediate)
    dead.kill('SIGKILL')
    await once(dead, 'exit')
    await using house = await listening({ path })
    const client = speak(path)
    await until(() => house.accepted.length === 1)
    client.destroy()
  })

  test('a socket on which somebody answers is left alone', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 's')
    const other = createServer(socket => socket.destroy()).listen(path)
    await once(other, 'listening')
    await assert.rejects(listening({ path }), { code: 'ERR_LISTEN_IN_USE' })
    const client = connect(path)
    await once(client, 'connect')
    client.destroy()
    other.close()
  })

  test('what is not a socket is left alone', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 's')
    await writeFile(path, 'precious')
    await assert.rejects(listening({ path }), { code: 'ERR_LISTEN_PATH' })
    assert.equal(await readFile(path, 'utf8'), 'precious')
    const link = join(folder.path, 'link')
    await symlink(path, link)
    await assert.rejects(listening({ path: link }), { code: 'ERR_LISTEN_PATH' })
  })

  test('without the lock nothing is touched', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 'a', 's')
    await assert.rejects(listening({ path, lock: { held: false } }), { code: 'ERR_LISTEN_NO_LOCK' })
    assert.deepEqual(await readdir(folder.path), [])
  })

  test('a path that is too long for the system is refused by its length', async () => {
    const path = join('/tmp', 'x'.repeat(120), 's')
    await assert.rejects(listening({ path }), {
      code: 'ERR_LISTEN_PATH',
      message: /127 bytes; the system takes at most 107/,
    })
  })

  test('disposal unlinks the socket and leaves accepted connections to their owner', async () => {
    await using house = await listening()
    const client = speak(house.path)
    await until(() => house.accepted.length === 1)
    await house.listener[Symbol.asyncDispose]()
    assert.equal(await stat(house.path).catch(() => undefined), undefined)
    assert.equal(client.destroyed, false)
    client.destroy()
  })

  test('A7 disposal takes nothing away that somebody else has put at the path', async () => {
    await using house = await listening()
    assert.equal(await house.listener.isInPlace(), true)
    await rm(house.path)
    assert.equal(await house.listener.isInPlace(), false)
    await writeFile(house.path, 'precious')
    assert.equal(await house.listener.isInPlace(), false)
    await house.listener[Symbol.asyncDispose]()
    assert.equal(await readFile(house.path, 'utf8'), 'precious')
  })

  test('a folder that takes no socket is named with the reason', async () => {
    const path = '/proc/self/plastron.sock'
    await assert.rejects(listening({ path }), {
      code: 'ERR_LISTEN_PATH',
      message: /^the socket \/proc\/self\/plastron\.sock cannot be made: E[A-Z]+$/,
    })
  })
})

describe('the caller', () => {
  test('AGT-ATT-001 is the process that connected, by the kernel', async () => {
    await using house = await listening()
    const child = perl('$s = IO::Socket::UNIX->new($ARGV[0]) or die; syswrite($s, "x"); <STDIN>', house.path)
    await until(() => house.accepted.length === 1)
    const [{ peer } = assert.fail()] = house.accepted
    assert.equal(peer.pid, child.pid)
    assert.equal(peer.uid, process.getuid?.())
    assert.equal(peer.gid, process.getgid?.())
    assert.equal(peer.socketPath, house.path)
    assert.equal(peer.process.isAlive(), true)
    const { stdout } = await run('cat', [`/proc/${child.pid}/stat`])
    assert.equal(peer.process.startTime, stdout.slice(stdout.lastIndexOf(')') + 2).split(' ')[19])
    child.stdin.end()
    await once(child, 'exit')
  })

  test('AGT-ATT-002 ADV-03 is not alive once it has ended, though its socket lives on in another process', async () => {
    await using house = await listening()
    // The parent connects and ends; its child keeps the socket, which therefore stays open.
    const parent = perl(
      '$s = IO::Socket::UNIX->new($ARGV[0]) or die; syswrite($s, "x"); <STDIN>; my $child = fork(); if ($child == 0) { close(STDOUT); sleep 60 } print $child',
      house.path,
    )
    let printed = ''
    parent.stdout.on('data', chunk => {
      printed += chunk
    })
    await until(() => house.accepted.length === 1)
    const [{ peer, socket } = assert.fail()] = house.accepted
    assert.equal(peer.process.isAlive(), true)
    parent.stdin.end()
    await once(parent, 'close')
    assert.equal(peer.process.isAlive(), false)
    assert.equal(socket.destroyed, false)
    process.kill(Number(printed), 'SIGKILL')
    if (!socket.closed) await once(socket.resume(), 'close')
  })

  test('AGT-ATT-003 whose process has already ended is refused', async () => {
    await using house = await listening()
    // The listener cannot accept before the child is gone: this process is busy waiting for it.
    const { spawnSync } = await import('node:child_process')
    const { status } = spawnSync('perl', [
      '-MIO::Socket::UNIX',
      '-e',
      'IO::Socket::UNIX->new($ARGV[0]) or die',
      house.path,
    ])
    assert.equal(status, 0)
    await until(() => house.refused.length === 1)
    assert.equal(house.refused[0]?.code, 'ERR_PEER_CREDENTIALS')
    assert.equal(house.accepted.length, 0)
  })

  test('lets go of the process with the connection', async () => {
    await using house = await listening()
    const client = speak(house.path)
    await until(() => house.accepted.length === 1)
    const [{ peer, socket } = assert.fail()] = house.accepted
    assert.equal(peer.process.isAlive(), true)
    client.destroy()
    socket.resume()
    await once(socket, 'close')
    assert.equal(peer.process.isAlive(), false)
    peer.process[Symbol.dispose]()
  })

  test('has a status that is read anew each time, through a descriptor that is kept from the second time on and goes with the connection', async () => {
    await using house = await listening()
    const client = speak(house.path)
    await until(() => house.accepted.length === 1)
    const [{ peer, socket } = assert.fail()] = house.accepted
    const held = peer.process
    const baseline = await descriptors()
    const whole = /^Name:.*\nUid:\t(\d+)\t.*\nnonvoluntary_ctxt_switches:\t\d+\n$/s
    assert.equal(whole.exec(held.status())?.[1], String(process.getuid?.()))
    assert.equal(await descriptors(), baseline)
    assert.match(held.status(), whole)
    assert.equal(await descriptors(), baseline + 1)
    const { title } = process
    try {
      process.title = 'another-name'
      assert.match(held.status(), /^Name:\tanother-name\n/)
    } finally {
      process.title = title
    }
    client.destroy()
    socket.resume()
    await once(socket, 'close')
    assert.throws(() => held.status(), /is not held any more/)
    // Without both ends of the connection and the two descriptors of the process.
    assert.equal(await descriptors(), baseline - 3)
  })

  test('has no status once it has ended, though its socket lives on in another process', async () => {
    await using house = await listening()
    // The second process ends with the input.
    const code =
      'my $s = IO::Socket::UNIX->new($ARGV[0]); print $s "x"; $s->flush; if (fork()) { sleep 60 } else { <STDIN> }'
    const child = perl(code, house.path)
    await until(() => house.accepted.length === 1)
    const [{ peer } = assert.fail()] = house.accepted
    assert.match(peer.process.status(), /^Name:/)
    assert.match(peer.process.status(), /^Name:/)
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    assert.equal(peer.process.isAlive(), false)
    assert.throws(() => peer.process.status(), { code: 'ESRCH' })
    child.stdin.end()
  })

  test('may be in more groups than one reading holds', {
    skip: process.getuid?.() !== 0 && 'only root can join groups',
  }, async () => {
    await using house = await listening()
    const groups = Array.from({ length: 3000 }, (_, index) => 100_000 + index)
    const code =
      '$) = join(" ", 0, @ARGV[1..$#ARGV]); my $s = IO::Socket::UNIX->new($ARGV[0]); print $s "x"; $s->flush; <STDIN>'
    const child = perl(code, house.path, ...groups.map(String))
    await until(() => house.accepted.length === 1)
    const [{ peer } = assert.fail()] = house.accepted
    const found = /\nGroups:\t(.*)\n/.exec(peer.process.status())?.[1]?.trim().split(' ').map(Number)
    assert.deepEqual(found, groups)
    const ended = once(child, 'exit')
    child.stdin.end('\n')
    await ended
  })

  test('ADV-07 10,000 connections of processes that end at once leave no descriptor behind', async () => {
    await using house = await listening({ onConnection: socket => void socket.resume() })
    const baseline = await descriptors()
    // Each process connects ten times and is gone; twenty run at a time.
    const code = `
      for my $round (1..50) {
        for (1..20) { my $pid = fork(); if ($pid == 0) { IO::Socket::UNIX->new($ARGV[0]) for 1..10; exit 0 } }
        1 while wait() != -1;
      }`
    const forks = perl(code, house.path)
    const [status] = await once(forks, 'exit')
    assert.equal(status, 0)
    let now = await descriptors()
    const end = Date.now() + 10_000
    while (now > baseline && Date.now() < end) {
      await new Promise(setImmediate)
      now = await descriptors()
    }
    assert.ok(now <= baseline, `${now} descriptors, ${baseline} before`)
  })

  test('more connections than the bound are refused, and others served again after them', async () => {
    await using house = await listening({ maxConnections: 2 })
    const clients = Array.from({ length: 5 }, () =>
      speak(house.path)
        .on('error', () => undefined)
        .resume(),
    )
    await until(() => clients.filter(client => client.closed).length === 3)
    assert.equal(house.accepted.length, 2)
    for (const client of clients) client.destroy()
    for (const { socket } of house.accepted) socket.resume()
    await until(() => house.accepted.every(({ socket }) => socket.closed))
    const again = speak(house.path)
    await until(() => house.accepted.length === 3)
    again.destroy()
  })
})

describe('system calls', () => {
  test('a pidfd tells when its process has ended', async () => {
    const child = spawn('sleep', ['60'])
    await once(child, 'spawn')
    const fd = pidfdOpen(child.pid ?? 0)
    assert.equal(hasExited(fd), false)
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(hasExited(fd), true)
    const { closeSync } = await import('node:fs')
    closeSync(fd)
  })

  test('errors carry the number of the system', () => {
    assert.throws(
      () => pidfdOpen(2 ** 22 + 1),
      error => error instanceof SystemCallError && [Errno.ESRCH, Errno.EINVAL].includes(error.errno as 3 | 22),
    )
  })
})

describe('the folder of a socket, as a client sees it', () => {
  test('one that only root and the own user can write to is good', async () => {
    await using folder = await tempFolder()
    await assertTrustedSocketFolder(join(folder.path, 's'))
    await mkdir(join(folder.path, 'run'), { mode: 0o755 })
    await assertTrustedSocketFolder(join(folder.path, 'run', 's'))
  })

  test('one that others may write to is refused, sticky or not', async () => {
    await using folder = await tempFolder()
    const run = join(folder.path, 'run')
    await mkdir(run)
    for (const mode of [0o777, 0o1777, 0o770, 0o702]) {
      await chmod(run, mode)
      await assert.rejects(assertTrustedSocketFolder(join(run, 's')), { code: 'ERR_SOCKET_FOLDER' }, mode.toString(8))
    }
    await assert.rejects(assertTrustedSocketFolder('/tmp/s'), { code: 'ERR_SOCKET_FOLDER' })
  })

  test('one below a folder that others may write to is refused, unless that is sticky', async () => {
    await using folder = await tempFolder()
    const run = join(folder.path, 'a', 'run')
    await mkdir(run, { recursive: true })
    await chmod(join(folder.path, 'a'), 0o777)
    await assert.rejects(assertTrustedSocketFolder(join(run, 's')), { code: 'ERR_SOCKET_FOLDER' })
    await chmod(join(folder.path, 'a'), 0o1777)
    await assertTrustedSocketFolder(join(run, 's'))
  })

  test('a link leads to where it leads', async () => {
    await using folder = await tempFolder()
    const open = join(folder.path, 'open')
    await mkdir(open)
    await chmod(open, 0o777)
    const link = join(folder.path, 'link')
    await symlink(open, link)
    await assert.rejects(assertTrustedSocketFolder(join(link, 's')), { code: 'ERR_SOCKET_FOLDER' })
  })

  test('one of another user is refused, unless that user is trusted', async context => {
    if (process.getuid?.() !== 0) return context.skip('only root can give a folder away')
    const { chown } = await import('node:fs/promises')
    await using folder = await tempFolder()
    const run = join(folder.path, 'run')
    await mkdir(run)
    await chown(run, 12_345, 12_345)
    await assert.rejects(assertTrustedSocketFolder(join(run, 's')), {
      code: 'ERR_SOCKET_FOLDER',
      message: /owned by user 12345/,
    })
    await assertTrustedSocketFolder(join(run, 's'), [12_345])
  })
})
