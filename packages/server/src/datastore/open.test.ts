import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { sql } from 'kysely'
import { isDatastoreError } from './errors.ts'
import { migrations } from './migrations.ts'
import { historyPath } from './sqlite/history.ts'
import { openDatabase } from './sqlite/open.ts'
import { newEntry, openTestDatastore, TestDatastore } from './test-datastore.ts'

const refusal =
  (code: Parameters<typeof isDatastoreError>[1], message = /./) =>
  (error: unknown) =>
    isDatastoreError(error, code) && message.test(error.message)

function snapshot(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder).map(name => [name, readFileSync(join(folder, name)).toString('base64')]),
  )
}

/** The least that tells a database of SPIRE's. */
function makeSpireDatabase(path: string): void {
  const database = new DatabaseSync(path)
  database.exec('pragma journal_mode = wal')
  database.exec('create table registered_entries (id integer primary key, entry_id text)')
  database.exec('create table migrations (id integer primary key, version integer, code_version text)')
  database.close()
}

describe('opening a database', () => {
  test('C53-5 the database and everything beside it is 0600 from the first moment, whatever the umask', async () => {
    const before = process.umask(0)
    try {
      await using house = await openTestDatastore()
      await house.store.entries.create([newEntry()])
      await house.store.backup(join(house.folder, 'copy'))
      for (const name of readdirSync(house.folder)) {
        assert.equal(statSync(join(house.folder, name)).mode & 0o777, 0o600, name)
      }
      assert.ok(existsSync(`${house.path}-wal`))
    } finally {
      process.umask(before)
    }
  })

  test('C53-5 a database that was copied into place readable by all is made private', async () => {
    await using house = await openTestDatastore()
    await house.close()
    chmodSync(house.path, 0o644)
    await house.open()
    assert.equal(statSync(house.path).mode & 0o777, 0o600)
  })

  test('SRV-DS-012 WAL, synchronous FULL, foreign keys and a busy timeout are on', async () => {
    await using house = new TestDatastore()
    const { database } = await openDatabase({ path: house.path, busyTimeoutMs: 1234 })
    const pragma = (name: string): unknown => Object.values(database.prepare(`pragma ${name}`).get() ?? {})[0]
    try {
      assert.equal(pragma('journal_mode'), 'wal')
      assert.equal(pragma('synchronous'), 2)
      assert.equal(pragma('foreign_keys'), 1)
      assert.equal(pragma('busy_timeout'), 1234)
    } finally {
      database.close()
    }
  })

  test('SRV-DS-020 a database made by SPIRE, or by anybody else, is refused and not touched', async () => {
    for (const [make, message] of [
      [makeSpireDatabase, /made by SPIRE/],
      [(path: string) => new DatabaseSync(path).exec('create table x (y)'), /not made by Plastron/],
      [(path: string) => writeFileSync(path, 'no database at all, but long enough to look at'), /cannot read/],
    ] as const) {
      await using house = new TestDatastore()
      make(house.path)
      const before = snapshot(house.folder)
      await assert.rejects(house.open(), error => isDatastoreError(error) && message.test(error.message))
      assert.deepEqual(snapshot(house.folder), before)
    }
  })

  test('SRV-DS-022 D4 a schema newer than the program is refused by name, and stays as it is', async () => {
    await using house = await openTestDatastore()
    await house.close()
    const newer = { ...migrations, '9999-later': { up: async () => {} } }
    const open = await openDatabase({ path: house.path, busyTimeoutMs: 0, migrations: newer })
    open.database.close()
    await assert.rejects(house.open(), refusal('ERR_DATASTORE_SCHEMA_NEWER', /9999-later/))
  })

  test('SRV-DS-021 D4 before a migration the file is copied; a migration that fails leaves nothing half done', async () => {
    await using house = await openTestDatastore()
    await house.store.entries.create([newEntry({ id: 'kept' })])
    await house.close()
    const failing = {
      ...migrations,
      '0002-fails': {
        async up(db: Parameters<(typeof migrations)[string]['up']>[0]) {
          await sql`create table half_done (x integer)`.execute(db)
          await sql`delete from entries`.execute(db)
          throw new Error('power cut')
        },
      },
    }
    await assert.rejects(
      openDatabase({ path: house.path, busyTimeoutMs: 0, migrations: failing }),
      refusal('ERR_DATASTORE_IO', /cannot migrate/),
    )
    const store = await house.open()
    assert.equal((await store.entries.get('kept'))?.id, 'kept')
    await house.close()
    const working = { ...migrations, '0002-works': { up: async () => {} } }
    const open = await openDatabase({ path: house.path, busyTimeoutMs: 0, migrations: working })
    open.database.close()
    assert.equal(open.backedUpTo, `${house.path}.before-upgrade-from-0001-initial`)
    const copy = new DatabaseSync(open.backedUpTo, { readOnly: true })
    assert.equal(copy.prepare('select count(*) as n from entries').get()?.n, 1)
    assert.equal(copy.prepare('select count(*) as n from kysely_migration').get()?.n, 1)
    copy.close()
  })

  test('a half-made database never carries the real name, and is made anew', async () => {
    await using house = new TestDatastore()
    writeFileSync(`${house.path}.creating`, 'what a killed process left')
    const store = await house.open()
    await store.ping()
    assert.ok(!existsSync(`${house.path}.creating`))
  })

  test('D7 a database that another process holds gives a typed error after the timeout, and works again later', async () => {
    await using house = new TestDatastore()
    const store = await house.open(50)
    const other = new DatabaseSync(house.path)
    other.exec('begin immediate')
    await assert.rejects(store.entries.create([newEntry()]), refusal('ERR_DATASTORE_BUSY'))
    assert.equal((await store.entries.page(0, 1)).items.length, 0, 'reading goes on')
    other.exec('rollback')
    other.close()
    const [outcome] = await store.entries.create([newEntry()])
    assert.ok(outcome?.ok)
    assert.equal((await store.changes.head()).number, 1)
  })

  test('D7 a file in a folder that cannot be written gives a typed error', async t => {
    if (process.getuid?.() === 0) {
      await using house = new TestDatastore()
      const missing = new TestDatastore()
      await using _ = missing
      rmSync(missing.folder, { recursive: true })
      await assert.rejects(missing.open(), refusal('ERR_DATASTORE_IO', /cannot open the database/))
      t.diagnostic(`root may write everywhere; a missing folder stands for it beside ${house.folder}`)
      return
    }
    await using house = new TestDatastore()
    chmodSync(house.folder, 0o500)
    await assert.rejects(house.open(), refusal('ERR_DATASTORE_IO', /cannot open the database/))
    chmodSync(house.folder, 0o700)
  })

  test('D9 a copy made under load is whole', async () => {
    await using house = await openTestDatastore()
    const { store } = house
    let writing = true
    const load = (async () => {
      for (let index = 0; writing; index++) await store.entries.create([newEntry({ selectors: [`a:${index}`] })])
    })()
    const copies = ['one', 'two'].map(name => join(house.folder, name))
    try {
      for (const copy of copies) await store.backup(copy)
    } finally {
      writing = false
      await load
    }
    await assert.rejects(store.backup(copies[0] ?? ''), refusal('ERR_DATASTORE_IO', /exists already/))
    for (const copy of copies) {
      const database = new DatabaseSync(copy, { readOnly: true })
      assert.equal(database.prepare('pragma integrity_check').get()?.integrity_check, 'ok')
      const counts = database.prepare('select (select count(*) from entries) e, (select number from state) n').get()
      assert.equal(counts?.e, counts?.n, 'a transaction is in it whole or not at all')
      database.close()
    }
  })

  test('D5 SRV-DS-047 rows that cannot be read are left out and reported, everything else is served', async () => {
    await using house = await openTestDatastore()
    const wrong: Record<string, string | number | null> = {
      selectors: '{"not":"a list"}',
      dns_names: 'no json',
      federates_with: '[1]',
      attributes: 'null',
      x509_svid_ttl: 'a text',
      hint: null,
    }
    const ids = Object.keys(wrong)
    await house.store.entries.create([...ids, 'good'].map(id => newEntry({ id, selectors: [`a:${id}`] })))
    await house.close()
    const database = new DatabaseSync(house.path)
    for (const [column, value] of Object.entries(wrong)) {
      if (value === null) continue
      database.prepare(`update entries set ${column} = ? where id = ?`).run(value, column)
    }
    database.close()
    const store = await house.open()
    const page = await store.entries.page(0, 100)
    assert.deepEqual(
      page.items.map(entry => entry.id),
      ['hint', 'good'],
    )
    assert.equal(house.unreadable.length, 5)
    assert.ok(house.unreadable.every(line => line.startsWith('entries ')))
    const outcomes = await store.entries.update([{ id: 'selectors', fields: { hint: 'x' } }])
    assert.equal(outcomes[0]?.ok, false)
    const bad = ids.filter(id => id !== 'hint')
    assert.deepEqual(
      await store.entries.delete(bad),
      bad.map(value => ({ ok: true, value })),
    )
  })
})

describe('the history of a database', () => {
  test('a history survives restarts, and ends when the database is restored, swapped, copied or its record lost', async () => {
    await using house = await openTestDatastore()
    const history = async (): Promise<string> => (await house.store.changes.head()).history
    const first = await history()
    await house.store.entries.create([newEntry({ selectors: ['a:1'] })])
    const copy = join(house.folder, 'copy')
    await house.store.backup(copy)
    await house.store.entries.create([newEntry({ selectors: ['a:2'] })])
    await house.close()
    await house.open()
    assert.equal(await history(), first, 'restarted')
    assert.deepEqual(house.newHistories, [], 'a new database and a restart are told to nobody')
    await house.close()

    cpSync(copy, house.path)
    await house.open()
    const restored = await history()
    assert.notEqual(restored, first, 'an older copy was put back in place')
    assert.equal((await house.store.changes.head()).number, 1)
    await house.close()

    cpSync(house.path, `${house.path}.moved`)
    renameSync(`${house.path}.moved`, house.path)
    await house.open()
    const moved = await history()
    assert.notEqual(moved, restored, 'another file with the same content')
    await house.close()

    rmSync(historyPath(house.path))
    await house.open()
    assert.notEqual(await history(), moved, 'nothing is known outside')
    await house.close()

    writeFileSync(historyPath(house.path), '{"history":')
    await house.open()
    assert.equal(new Set([first, restored, moved, await history()]).size, 4, 'a cut record')
    const [older, otherFile, missing, damaged, ...more] = house.newHistories
    assert.match(older ?? '', /^it has 1 changes and 2 were served/)
    assert.match(otherFile ?? '', /another file/)
    assert.match(missing ?? '', /^there is no .*\.history/)
    assert.match(damaged ?? '', /\.history cannot be read/)
    assert.deepEqual(more, [])
    await house.close()
    await house.open()
    assert.equal(house.newHistories.length, 4, 'it was written anew and is good')
  })

  test('a history ends also when the database is put back together with the record that lies beside it', async () => {
    await using house = await openTestDatastore()
    const { history } = await house.store.changes.head()
    await house.store.entries.create([newEntry({ selectors: ['a:1'] })])
    await house.close()
    const copies = [house.path, historyPath(house.path)].map(path => ({ path, copy: `${path}.copy` }))
    for (const { path, copy } of copies) cpSync(path, copy, { preserveTimestamps: true })
    const record = JSON.parse(readFileSync(historyPath(house.path), 'utf8')) as { writtenMs: number }
    await house.open()
    assert.equal((await house.store.changes.head()).history, history, 'nothing was put back yet')
    await house.store.entries.create([newEntry({ selectors: ['a:2'] })])
    await house.close()
    for (const { path, copy } of copies) cpSync(copy, path, { preserveTimestamps: true })
    // As if the copies were two minutes old.
    writeFileSync(historyPath(house.path), JSON.stringify({ ...record, writtenMs: record.writtenMs - 120_000 }))
    await house.open()
    const head = await house.store.changes.head()
    assert.equal(head.number, 1)
    assert.notEqual(head.history, history)
    assert.match(house.newHistories.join(), /was put back or touched by others/)
  })

  test('a database that lost its content is no new one, also when the record outside is damaged', async () => {
    await using house = await openTestDatastore()
    await house.store.entries.create([newEntry()])
    await house.close()
    for (const suffix of ['', '-wal', '-shm']) rmSync(house.path + suffix, { force: true })
    writeFileSync(house.path, '')
    await assert.rejects(house.open(), { code: 'ERR_DATASTORE_CORRUPT', message: /is empty, but 1 changes were made/ })
    writeFileSync(historyPath(house.path), 'damaged')
    await assert.rejects(house.open(), { code: 'ERR_DATASTORE_CORRUPT', message: /is empty, but it was in use/ })
  })

  test('a process that was killed keeps its history: the number outside may lag, never lead', async () => {
    await using house = await openTestDatastore()
    const { history } = await house.store.changes.head()
    await house.store.entries.create([newEntry()])
    const before = JSON.parse(readFileSync(historyPath(house.path), 'utf8')) as { number: number }
    assert.equal(before.number, 0)
    await house.close()
    writeFileSync(historyPath(house.path), JSON.stringify(before))
    const store = await house.open()
    assert.deepEqual(await store.changes.head(), { history, number: 1 })
  })
})

describe('the change feed', () => {
  test('after a position come the later changes in order and in pages, each with a state that is not older', async () => {
    await using house = await openTestDatastore()
    const { entries, changes } = house.store
    await entries.create(
      Array.from({ length: 5 }, (_, index) => newEntry({ id: `e${index}`, selectors: [`a:${index}`] })),
    )
    await entries.update([{ id: 'e1', fields: { hint: 'new' } }])
    await entries.delete(['e2'])
    const head = await changes.head()
    assert.equal(head.number, 7)
    const first = await changes.after({ history: head.history, number: 1 }, 3)
    assert.ok(first.kind === 'changes' && first.more)
    assert.deepEqual(
      first.commit.changes.map(({ number, id, value }) => [number, id, value !== undefined]),
      [
        [2, 'e1', true],
        [3, 'e2', false],
        [4, 'e3', true],
      ],
    )
    const rest = await changes.after(first.commit.position, 100)
    assert.ok(rest.kind === 'changes' && !rest.more)
    assert.deepEqual(rest.commit.position, head)
    const none = await changes.after(head, 100)
    assert.ok(none.kind === 'changes' && none.commit.changes.length === 0)
  })

  test('SRV-DS-049 pruning keeps the newest; a position before what is kept, of another history or ahead needs a snapshot', async () => {
    await using house = await openTestDatastore()
    const { entries, changes } = house.store
    for (let index = 0; index < 10; index++) await entries.create([newEntry({ selectors: [`a:${index}`] })])
    const { history } = await changes.head()
    house.now += 100
    await entries.create([newEntry({ selectors: ['b:1'] })])
    assert.equal(await changes.prune(house.now, 4), 7)
    assert.equal(await changes.prune(house.now, 0), 3, 'what is younger stays')
    const kind = async (position: { history: string; number: number }): Promise<string> =>
      (await changes.after(position, 10)).kind
    assert.equal(await kind({ history, number: 9 }), 'too-old')
    assert.equal(await kind({ history, number: 10 }), 'changes')
    assert.equal(await kind({ history, number: 11 }), 'changes')
    assert.equal(await kind({ history, number: 12 }), 'ahead')
    assert.equal(await kind({ history: 'other', number: 3 }), 'other-history')
    house.now += 100
    await changes.prune(house.now, 0)
    assert.equal(await kind({ history, number: 10 }), 'too-old')
    assert.equal(await kind({ history, number: 11 }), 'changes')
  })

  test('listeners see every commit once, in order, before its write resolves', async () => {
    await using house = await openTestDatastore()
    const { entries, changes } = house.store
    const numbers: (number | undefined)[] = []
    const stop = changes.onCommit(commit => numbers.push(...commit.changes.map(change => change.number)))
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const [outcome] = await entries.create([newEntry({ id: `e${index}`, selectors: [`a:${index}`] })])
        assert.ok(outcome?.ok)
        assert.ok(numbers.length >= index + 1)
      }),
    )
    assert.deepEqual(
      numbers,
      Array.from({ length: 100 }, (_, index) => index + 1),
    )
    stop()
    await entries.delete(['e1'])
    assert.equal(numbers.length, 100)
  })

  test('writes that wait at the same time share a transaction and its sync', async () => {
    await using house = await openTestDatastore()
    const { entries, changes } = house.store
    let commits = 0
    changes.onCommit(() => {
      commits += 1
    })
    await Promise.all(
      Array.from({ length: 500 }, (_, index) => entries.create([newEntry({ selectors: [`a:${index}`] })])),
    )
    assert.equal((await changes.head()).number, 500)
    assert.ok(commits <= 50, `${commits} commits`)
  })

  test('a closed datastore finishes what was asked for and then refuses', async () => {
    await using house = await openTestDatastore()
    const { store } = house
    const last = store.entries.create([newEntry()])
    const closed = house.close()
    const [outcome] = await last
    assert.ok(outcome?.ok)
    await closed
    await assert.rejects(store.ping(), refusal('ERR_DATASTORE_CLOSED'))
  })
})
