import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { DataFolder } from './data-folder.ts'
import { DataFolderError } from './data-folder-error.ts'
import { writeFileDurably } from './durable-file.ts'
import { isSpireKeyFile } from './spire-state.ts'

function scratch(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'plastron-data-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

async function refusal(path: string, program: 'server' | 'agent' = 'server'): Promise<DataFolderError> {
  try {
    using _folder = await DataFolder.open(path, program)
  } catch (error) {
    assert.ok(error instanceof DataFolderError, String(error))
    return error
  }
  throw new Error('accepted')
}

/** Another process that holds the folder until it is killed. */
async function holder(path: string): Promise<ChildProcess> {
  const script = `const { DataFolder } = await import(${JSON.stringify(new URL('./data-folder.ts', import.meta.url).href)})
    await DataFolder.open(${JSON.stringify(path)}, 'server')
    process.stdout.write('held')
    setInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve())
    child.once('close', () => reject(new Error('the holder ended')))
  })
  return child
}

describe('a data folder', () => {
  test('SRV-CFG-028 AGT-CFG-010 is made with mode 0700, folders above it too', async t => {
    const path = join(scratch(t), 'a', 'b')
    using folder = await DataFolder.open(path, 'server')
    assert.deepEqual([mode(path), mode(join(path, '..'))], ['700', '700'])
    assert.deepEqual(folder.warnings, [])
    assert.equal(mode(join(path, '.plastron-server.lock')), '600')
  })

  test('that is empty or was ours is closed to others; one that is used for more is left as it is, with a warning', async t => {
    const path = scratch(t)
    chmodSync(path, 0o755)
    ;(await DataFolder.open(path, 'server'))[Symbol.dispose]()
    assert.equal(mode(path), '700')
    writeFileSync(join(path, 'state'), '')
    chmodSync(path, 0o775)
    ;(await DataFolder.open(path, 'agent'))[Symbol.dispose]()
    assert.equal(mode(path), '700')

    const shared = scratch(t)
    writeFileSync(join(shared, 'other'), '')
    chmodSync(shared, 0o755)
    using folder = await DataFolder.open(shared, 'agent')
    assert.equal(mode(shared), '755')
    assert.equal(folder.warnings.length, 1)
  })

  test('that others may write to is refused', async t => {
    const path = scratch(t)
    writeFileSync(join(path, 'other'), '')
    chmodSync(path, 0o777)
    const error = await refusal(path)
    assert.equal(error.code, 'ERR_DATA_FOLDER_UNSAFE')
    assert.match(error.message, /others may write to it \(mode 0777\)/)
    assert.deepEqual(readdirSync(path), ['other'])
  })

  test('that is a file is refused', async t => {
    const path = join(scratch(t), 'file')
    writeFileSync(path, '')
    assert.equal((await refusal(path)).code, 'ERR_DATA_FOLDER_UNUSABLE')
  })

  test('whose lock is a link is refused', async t => {
    const path = scratch(t)
    symlinkSync('/etc/passwd', join(path, '.plastron-server.lock'))
    assert.equal((await refusal(path)).code, 'ERR_DATA_FOLDER_UNUSABLE')
  })
})

describe('its lock', () => {
  test('keeps a second server out and says who holds it, lets an agent in, and dies with the process', async t => {
    const path = scratch(t)
    const child = await holder(path)
    t.after(() => child.kill('SIGKILL'))
    const error = await refusal(path)
    assert.equal(error.code, 'ERR_DATA_FOLDER_IN_USE')
    assert.equal(
      error.message,
      `the data folder ${path} is in use by another process (${child.pid}): a folder serves one server at a time`,
    )
    ;(await DataFolder.open(path, 'agent'))[Symbol.dispose]()
    const ended = new Promise(resolve => child.once('close', resolve))
    child.kill('SIGKILL')
    await ended
    using folder = await DataFolder.open(path, 'server')
    assert.equal(folder.path, path)
  })

  test('is given back, and holds within one process too', async t => {
    const path = scratch(t)
    {
      using _first = await DataFolder.open(path, 'server')
      assert.equal((await refusal(path)).code, 'ERR_DATA_FOLDER_IN_USE')
    }
    using _second = await DataFolder.open(path, 'server')
  })
})

describe('SPIRE’s own state is refused, untouched', () => {
  const agentFiles = { 'agent-data.json': '{"svid":[]}', 'agent_svid.der': 'x', 'bundle.der': 'x' }
  for (const [name, content] of Object.entries(agentFiles)) {
    test(`an agent's ${name}`, async t => {
      const path = scratch(t)
      writeFileSync(join(path, name), content)
      const error = await refusal(path, 'agent')
      assert.equal(error.code, 'ERR_DATA_FOLDER_SPIRE')
      assert.match(
        error.message,
        new RegExp(`it has ${name}.*leaves it untouched; give it a folder of its own with data_dir`),
      )
      assert.deepEqual(readdirSync(path), [name])
      assert.equal(readFileSync(join(path, name), 'utf8'), content)
    })
  }

  test('a server’s database', async t => {
    const path = scratch(t)
    const database = new DatabaseSync(join(path, 'datastore.sqlite3'))
    database.exec(
      'create table migrations (id integer primary key, version integer); create table registered_entries (id integer)',
    )
    database.close()
    const before = readFileSync(join(path, 'datastore.sqlite3'))
    assert.match((await refusal(path)).message, /datastore\.sqlite3 with the tables of SPIRE's server/)
    assert.deepEqual(readdirSync(path), ['datastore.sqlite3'])
    assert.deepEqual(readFileSync(join(path, 'datastore.sqlite3')), before)
  })

  test('a server’s keys', async t => {
    const path = scratch(t)
    writeFileSync(join(path, 'keys.json'), JSON.stringify({ keys: { 'x509-CA-A': 'MIGH' } }))
    assert.match((await refusal(path)).message, /keys\.json in the format of SPIRE's key manager/)
  })

  test('a server’s old journal', async t => {
    const path = scratch(t)
    writeFileSync(join(path, 'journal.pem'), '-----BEGIN SPIRE CA JOURNAL-----\n')
    assert.equal((await refusal(path)).code, 'ERR_DATA_FOLDER_SPIRE')
  })

  test('but not what is another’s', async t => {
    const path = scratch(t)
    writeFileSync(join(path, 'keys.json'), '{"format":"plastron","keys":{}}')
    writeFileSync(join(path, 'datastore.sqlite3'), 'SQLite format 3\0')
    mkdirSync(join(path, 'agent-data.json'))
    using _server = await DataFolder.open(path, 'server')
    using _agent = await DataFolder.open(path, 'agent')
  })

  test('its key file is known by its shape', () => {
    assert.equal(isSpireKeyFile('{"keys":{"a":"b"}}'), true)
    assert.equal(isSpireKeyFile('{"keys":{}}'), true)
    for (const text of ['', '{', 'null', '[]', '{"keys":[]}', '{"keys":{"a":1}}', '{"keys":{},"version":1}'])
      assert.equal(isSpireKeyFile(text), false)
  })
})

describe('writing durably', () => {
  test('replaces a file whole, with mode 0600, and leaves nothing behind', async t => {
    const path = join(scratch(t), 'secret')
    await writeFileDurably(path, 'one')
    await writeFileDurably(path, Buffer.from('two'))
    assert.equal(readFileSync(path, 'utf8'), 'two')
    assert.equal(mode(path), '600')
    assert.deepEqual(readdirSync(join(path, '..')), ['secret'])
    await writeFileDurably(join(path, '..', 'public'), 'x', 0o644)
    assert.equal(mode(join(path, '..', 'public')), '644')
  })

  test('replaces a link, not what it points to', async t => {
    const folder = scratch(t)
    writeFileSync(join(folder, 'target'), 'untouched')
    symlinkSync(join(folder, 'target'), join(folder, 'link'))
    await writeFileDurably(join(folder, 'link'), 'new')
    assert.equal(readFileSync(join(folder, 'target'), 'utf8'), 'untouched')
    assert.equal(readFileSync(join(folder, 'link'), 'utf8'), 'new')
  })

  test('that fails leaves the old content and no rubbish', async t => {
    const folder = scratch(t)
    mkdirSync(join(folder, 'taken'))
    await assert.rejects(writeFileDurably(join(folder, 'taken'), 'x'))
    assert.deepEqual(readdirSync(folder), ['taken'])
    await assert.rejects(writeFileDurably(join(folder, 'no', 'file'), 'x'), { code: 'ENOENT' })
    assert.equal(existsSync(join(folder, 'no')), false)
  })
})
