import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, readlink, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { tempFolder } from '@plastron/runtime/testing'
import { selectorKey } from '../../../entries/selector.ts'
import { FileDigests } from './file-digest.ts'
import { FileReader } from './file-reader.ts'
import { NameDatabase, parseNames, systemNameSources } from './name-database.ts'
import { type ProcessOwner, parseProcStatus, parseStartTime } from './proc-status.ts'
import { UnixAttestor } from './unix.ts'

const status = (uid: string, gid: string, groups: string) =>
  `Name:\tx\nUmask:\t0022\nPid:\t7\nUid:\t${uid}\nGid:\t${gid}\nGroups:\t${groups}\nVmPeak:\t1 kB\n`

const never = new AbortController().signal

/** A proc file system with one process, number 7, and name databases of its own. */
async function fakeProc(text: string) {
  const folder = await tempFolder()
  const proc = join(folder.path, 'proc')
  await mkdir(join(proc, '7'), { recursive: true })
  await writeFile(join(proc, '7/status'), text)
  const passwd = join(folder.path, 'passwd')
  const group = join(folder.path, 'group')
  await writeFile(passwd, 'root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n')
  await writeFile(group, 'root:x:0:\nstaff:x:50:alice\nusers:x:100:\n')
  return {
    path: folder.path,
    proc,
    passwd,
    names: { files: { passwd, group }, getent: undefined },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

async function attest(attestor: UnixAttestor, pid: number): Promise<string[]> {
  return (await attestor.attest(pid, never)).map(selectorKey)
}

describe('unix workload attestor', () => {
  test('AGT-WA-UNIX-003 AGT-WA-UNIX-004 AGT-WA-UNIX-006 effective ids, their names and supplementary groups', async () => {
    await using f = await fakeProc(status('1\t1000\t2\t3', '1\t50\t2\t3', '100 4242 '))
    await using attestor = new UnixAttestor({ procFolder: f.proc, names: f.names })
    assert.deepEqual(await attest(attestor, 7), [
      'unix:uid:1000',
      'unix:user:alice',
      'unix:gid:50',
      'unix:group:staff',
      'unix:supplementary_gid:100',
      'unix:supplementary_gid:4242',
      'unix:supplementary_group:users',
    ])
  })

  test('what was found a moment ago is said at once, as the same list; nothing else is', async () => {
    await using f = await fakeProc('')
    const snapshot = (owner: ProcessOwner) => ({ pid: process.pid, owner: () => owner })
    const own = parseProcStatus(await readFile('/proc/self/status', 'latin1'))
    await using attestor = new UnixAttestor({ procFolder: '/proc', names: f.names })
    assert.equal(attestor.attestNow(snapshot(own)), undefined)
    const found = await attestor.attest(process.pid, never)
    assert.equal(attestor.attestNow(snapshot(own)), found)
    assert.equal(await attestor.attest(process.pid, never), found)
    assert.equal(attestor.attestNow(snapshot({ ...own, uid: own.uid + 1 })), undefined)
  })

  test('AGT-WA-UNIX-001 AGT-WA-UNIX-008 what needs more than the owner, or another proc file system, is never said at once', async () => {
    await using f = await fakeProc(status('5\t5\t5\t5', '6\t6\t6\t6', ''))
    const owner = parseProcStatus(status('5\t5\t5\t5', '6\t6\t6\t6', ''))
    await using elsewhere = new UnixAttestor({ procFolder: f.proc, names: f.names })
    await elsewhere.attest(7, never)
    assert.equal(elsewhere.attestNow({ pid: 7, owner: () => owner }), undefined)
    await using withPath = new UnixAttestor({ procFolder: '/proc', names: f.names, discoverWorkloadPath: true })
    await withPath.attest(process.pid, never)
    const own = parseProcStatus(await readFile('/proc/self/status', 'latin1'))
    assert.equal(withPath.attestNow({ pid: process.pid, owner: () => own }), undefined)
  })

  test('AGT-WA-UNIX-005 a number without a name gives no name', async () => {
    await using f = await fakeProc(status('5\t5\t5\t5', '6\t6\t6\t6', ''))
    await using attestor = new UnixAttestor({ procFolder: f.proc, names: f.names })
    assert.deepEqual(await attest(attestor, 7), ['unix:uid:5', 'unix:gid:6'])
  })

  test('AGT-WA-UNIX-001 AGT-WA-UNIX-007 path and digest of the program on request, for this very process', async () => {
    await using attestor = new UnixAttestor({ discoverWorkloadPath: true })
    const found = await attest(attestor, process.pid)
    const path = await readlink('/proc/self/exe')
    const sha256 = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
    assert.ok(found.includes(`unix:path:${path}`))
    assert.ok(found.includes(`unix:sha256:${sha256}`))
    await using plain = new UnixAttestor()
    assert.equal(
      (await attest(plain, process.pid)).some(key => key.startsWith('unix:path:')),
      false,
    )
  })

  test('AGT-WA-UNIX-002 the size limit: zero is none, negative hashes nothing, a larger program is an error', async () => {
    await using f = await fakeProc(status('0\t0\t0\t0', '0\t0\t0\t0', ''))
    const program = join(f.path, 'program')
    await writeFile(program, '0123456789')
    await symlink(program, join(f.proc, '7/exe'))
    const shared = { procFolder: f.proc, names: f.names, discoverWorkloadPath: true }
    for (const [workloadSizeLimit, digest] of [
      [0, true],
      [10, true],
      [-1, false],
    ] as const) {
      await using attestor = new UnixAttestor({ ...shared, workloadSizeLimit })
      const found = await attest(attestor, 7)
      assert.ok(found.includes(`unix:path:${program}`))
      assert.equal(
        found.some(key => key.startsWith('unix:sha256:')),
        digest,
      )
    }
    await using attestor = new UnixAttestor({ ...shared, workloadSizeLimit: 9 })
    await assert.rejects(attest(attestor, 7), /10 bytes, more than the workload size limit of 9/)
  })

  test('AGT-WA-UNIX-007 a program that cannot be found is an error and not a missing selector', async () => {
    await using f = await fakeProc(status('0\t0\t0\t0', '0\t0\t0\t0', ''))
    await using attestor = new UnixAttestor({ procFolder: f.proc, names: f.names, discoverWorkloadPath: true })
    await assert.rejects(attest(attestor, 7), { code: 'ENOENT' })
    await assert.rejects(attest(attestor, 8), { code: 'ENOENT' })
  })

  test('AGT-WA-UNIX-008 HOST_PROC moves the proc file system', async () => {
    await using f = await fakeProc(status('1000\t1000\t0\t0', '50\t50\t0\t0', ''))
    const before = process.env.HOST_PROC
    process.env.HOST_PROC = f.proc
    try {
      await using attestor = new UnixAttestor({ names: f.names })
      assert.ok((await attest(attestor, 7)).includes('unix:user:alice'))
    } finally {
      if (before === undefined) delete process.env.HOST_PROC
      else process.env.HOST_PROC = before
    }
  })

  test('C53-r1 a pipe or a device in place of a program is refused at once', async () => {
    await using f = await fakeProc(status('0\t0\t0\t0', '0\t0\t0\t0', ''))
    const pipe = join(f.path, 'pipe')
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0)
    await symlink(pipe, join(f.proc, '7/exe'))
    await mkdir(join(f.proc, '8'))
    await writeFile(join(f.proc, '8/status'), status('0\t0\t0\t0', '0\t0\t0\t0', ''))
    await symlink('/dev/zero', join(f.proc, '8/exe'))
    await using attestor = new UnixAttestor({ procFolder: f.proc, names: f.names, discoverWorkloadPath: true })
    await assert.rejects(attest(attestor, 7), /not a regular file/)
    await assert.rejects(attest(attestor, 8), /not a regular file/)
  })

  test('C53-r1 a huge program takes its time and no longer, and others are answered meanwhile', async () => {
    await using f = await fakeProc('')
    const huge = join(f.path, 'huge')
    await writeFile(huge, '')
    await truncate(huge, 64 * 1024 ** 3)
    await using reader = new FileReader(f.names)
    const slow = reader.sha256(huge, 0, 300, never)
    slow.catch(() => undefined)
    assert.equal(await reader.name('passwd', 1000, never), 'alice')
    await assert.rejects(slow, /took too long/)
  })

  test('who stops waiting is not waited for, and the reader goes on', async () => {
    await using f = await fakeProc('')
    await using reader = new FileReader(f.names)
    const controller = new AbortController()
    const asked = reader.name('passwd', 1000, controller.signal)
    controller.abort(new Error('gone'))
    await assert.rejects(asked, /gone/)
    assert.equal(await reader.name('passwd', 0, never), 'root')
    assert.equal(reader.givenUp, 0)
  })

  test('an attestor that is disposed of ends its thread', async () => {
    const attestor = new UnixAttestor({ discoverWorkloadPath: true })
    await attestor.attest(process.pid, never)
    await attestor[Symbol.asyncDispose]()
    await assert.rejects(attestor.attest(process.pid, never), /closed/)
  })

  test('a real process of another user is described as the system describes it', async () => {
    // Only root can start one; anybody else looks at a process of their own.
    const other = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
    const child = spawn('sleep', ['60'], { ...other, stdio: 'ignore' })
    try {
      await using attestor = new UnixAttestor()
      const found = await attest(attestor, child.pid!)
      assert.ok(found.includes(`unix:uid:${other.uid ?? process.getuid?.()}`))
      assert.ok(found.includes(`unix:gid:${other.gid ?? process.getgid?.()}`))
    } finally {
      child.kill('SIGKILL')
    }
  })
})

describe('proc', () => {
  test('lines that are missing, doubled or not numbers are an error, never a guess', () => {
    const good = status('0\t0\t0\t0', '0\t0\t0\t0', '')
    for (const bad of [
      '',
      good.replace('Uid:', 'uid:'),
      `${good}Uid:\t1\t1\t1\t1\n`,
      status('0\t0', '0\t0\t0\t0', ''),
      status('0\tx\t0\t0', '0\t0\t0\t0', ''),
      status('0\t-1\t0\t0', '0\t0\t0\t0', ''),
      status('0\t4294967296\t0\t0', '0\t0\t0\t0', ''),
      good.replace('Groups:', 'Group:'),
    ]) {
      assert.throws(() => parseProcStatus(bad), TypeError)
    }
  })

  test('owners are told apart by every number in their lines', () => {
    const ids = '7\t7\t7\t7'
    const one = parseProcStatus(status(ids, ids, '7 8'))
    assert.equal(parseProcStatus(status(ids, ids, '7 8').replace('Umask:\t0022', 'Umask:\t0077')), one)
    assert.deepEqual(parseProcStatus(status('7\t9\t7\t7', ids, '7 8')), { uid: 9, gid: 7, supplementaryGids: [7, 8] })
    assert.deepEqual(parseProcStatus(status(ids, '7\t9\t7\t7', '7 8')), { uid: 7, gid: 9, supplementaryGids: [7, 8] })
    assert.deepEqual(parseProcStatus(status(ids, ids, '7 80')), { uid: 7, gid: 7, supplementaryGids: [7, 80] })
    assert.deepEqual(parseProcStatus(`X:\nGroups:\t1\nGid:\t${ids}\nUid:\t${ids}`), {
      uid: 7,
      gid: 7,
      supplementaryGids: [1],
    })
    assert.throws(() => parseProcStatus(`${status(ids, ids, '7 8')}Gid:\t1\t1\t1\t1\n`), TypeError)
  })

  test('a name that imitates a line of the status is no line', () => {
    // The kernel writes a line break in a name as two characters.
    const text = `Name:\ta\\nUid:\t0\n${status('1\t1\t1\t1', '1\t1\t1\t1', '')}`
    assert.equal(parseProcStatus(text).uid, 1)
  })

  test('AGT-ATT-002 the start time is found behind any name', () => {
    const rest = `S ${Array.from({ length: 18 }, (_, index) => index).join(' ')} 987654 ${'0 '.repeat(30)}`
    for (const name of ['sh', 'a b', ')', ') S 1 2 3', '((', 'x) R 1 (y', 'a\nb']) {
      assert.equal(parseStartTime(`42 (${name}) ${rest}`), 987654n)
    }
    for (const bad of ['', '42', '42 (sh', '42 (sh) S 1 2', `42 (sh) S ${'x '.repeat(30)}`]) {
      assert.throws(() => parseStartTime(bad), TypeError)
    }
  })
})

describe('names', () => {
  test('lines that say nothing are skipped, and the first of two counts', () => {
    const names = parseNames('a:x:1:\nb:x:1:\n#c:x:2:\n+d:x:3:\n-e:x:4:\n:x:5:\nf:x:x:\ng:x\n\nh:x:4294967295:\n')
    assert.deepEqual(
      [...names],
      [
        [1, 'a'],
        [4294967295, 'h'],
      ],
    )
  })

  test('a changed file is read again; a missing one has no names', async () => {
    await using f = await fakeProc('')
    const database = new NameDatabase(f.names)
    assert.equal(database.lookup('passwd', 2000), undefined)
    await appendFile(f.passwd, 'bob:x:2000:2000::/:/bin/sh\n')
    assert.equal(database.lookup('passwd', 2000), 'bob')
    const empty = new NameDatabase({ files: { passwd: '/nonexistent', group: '/nonexistent' }, getent: undefined })
    assert.equal(empty.lookup('passwd', 0), undefined)
  })

  test('numbers that the files lack are asked of the name service, once a minute', async () => {
    await using f = await fakeProc('')
    const getent = join(f.path, 'getent')
    await writeFile(getent, `#!/bin/sh\necho asked >> ${f.path}/asked\necho "remote:*:$2:100::/:/bin/sh"\n`, {
      mode: 0o700,
    })
    const database = new NameDatabase({ ...f.names, getent })
    assert.equal(database.lookup('passwd', 70000), 'remote')
    assert.equal(database.lookup('passwd', 70000), 'remote')
    assert.equal(database.lookup('passwd', 1000), 'alice')
    assert.equal(await readFile(join(f.path, 'asked'), 'utf8'), 'asked\n')
  })

  test('the system knows the name of its first user', () => {
    assert.equal(new NameDatabase(systemNameSources).lookup('passwd', 0), 'root')
  })
})

describe('digests', () => {
  const limits = { maxBytes: 0, deadline: Number.POSITIVE_INFINITY }

  test('a digest is remembered while the file stays the same, and not longer', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 'program')
    await writeFile(path, 'one')
    await utimes(path, new Date('2020-01-01'), new Date('2020-01-01'))
    const digests = new FileDigests(nextTurn)
    const one = await digests.sha256(path, limits)
    assert.equal(one, createHash('sha256').update('one').digest('hex'))
    await writeFile(path, 'two')
    await utimes(path, new Date('2020-01-01'), new Date('2020-01-01'))
    assert.equal(await digests.sha256(path, limits), createHash('sha256').update('two').digest('hex'))
  })

  test('a file that changes while it is read is refused', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 'program')
    await writeFile(path, Buffer.alloc(3 * 1024 * 1024))
    let turns = 0
    const digests = new FileDigests(async () => {
      turns += 1
      if (turns === 1) await appendFile(path, 'more')
    })
    await assert.rejects(digests.sha256(path, limits), /grew while it was read/)
    turns = 0
    const shrinking = new FileDigests(async () => {
      turns += 1
      if (turns === 1) await truncate(path, 10)
    })
    await assert.rejects(shrinking.sha256(path, limits), /shrank while it was read/)
  })

  test('an empty file has a digest', async () => {
    await using folder = await tempFolder()
    const path = join(folder.path, 'program')
    await writeFile(path, '')
    const digest = await new FileDigests(nextTurn).sha256(path, limits)
    assert.equal(digest, createHash('sha256').digest('hex'))
  })
})
