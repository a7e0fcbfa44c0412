import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { TestDatastore } from './test-datastore.ts'

const writer = fileURLToPath(new URL('./test-writer.ts', import.meta.url))
const long = process.env.PLASTRON_TEST_LONG === '1'

/** Lets a writer run until it has acknowledged something and a while longer, kills it, and returns what it said. */
async function writeAndKill(path: string, prefix: string, afterMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, path, prefix, '1000000', '8'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const acknowledged: string[] = []
  const closed = once(child, 'close')
  let killed: Promise<void> | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('ACK ')) continue
    acknowledged.push(line.slice(4))
    killed ??= delay(afterMs).then(() => void child.kill('SIGKILL'))
  }
  await killed
  await closed
  // The last line may have been cut.
  return acknowledged
}

function isIntact(path: string): void {
  const database = new DatabaseSync(path)
  try {
    assert.deepEqual({ ...database.prepare('pragma integrity_check').get() }, { integrity_check: 'ok' })
  } finally {
    database.close()
  }
}

describe('durability', () => {
  test(`D1 I3 no acknowledged write is lost when the process is killed (${long ? 200 : 4} rounds), and numbers stay without gaps`, async () => {
    await using house = new TestDatastore()
    const all: string[] = []
    for (let round = 0; round < (long ? 200 : 4); round++) {
      all.push(...(await writeAndKill(house.path, `r${round}`, Math.random() * (long ? 60 : 150))))
      const store = await house.open()
      const stored = new Set<string>()
      for (let row: number | undefined = 0; row !== undefined; ) {
        const page = await store.entries.page(row, 10_000)
        for (const entry of page.items) stored.add(entry.id)
        row = page.lastRow
      }
      const lost = all.filter(id => !stored.has(id))
      assert.deepEqual(lost, [], `round ${round}`)
      const head = await store.changes.head()
      assert.equal(head.number, stored.size, 'one change each, none without its entry')
      const after = await store.changes.after({ history: head.history, number: 0 }, 1_000_000)
      assert.equal(after.kind, 'changes')
      assert.ok(after.kind === 'changes')
      assert.deepEqual(
        after.commit.changes.map(change => change.number),
        Array.from({ length: stored.size }, (_, index) => index + 1),
      )
      await house.close()
      isIntact(house.path)
    }
    assert.ok(all.length > 0)
  })

  test('D1 the disk is told to keep a write before it is acknowledged, as strace sees it', async t => {
    if (spawnSync('strace', ['-V']).error !== undefined) {
      assert.notEqual(process.env.CI, 'true', 'strace must be there in CI')
      t.skip('strace is not installed')
      return
    }
    await using house = new TestDatastore()
    const trace = join(house.folder, 'trace')
    const calls = 'trace=fdatasync,fsync,pwrite64,write'
    const args = ['-f', '-y', '-e', calls, '-o', trace, process.execPath, writer, house.path, 'w', '10', '1']
    const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    const [status] = await once(child, 'close')
    assert.equal(status, 0)
    let synced = false
    let unsynced = false
    let acknowledged = 0
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      if (/fd?a?t?a?sync\(\d+<[^>]*sqlite3-wal>/.test(line) || /sync resumed/.test(line)) {
        synced = true
        unsynced = false
      } else if (/pwrite64\(\d+<[^>]*sqlite3-wal>/.test(line)) {
        unsynced = true
      } else if (/write\(1<.*"ACK /.test(line)) {
        assert.ok(synced, `acknowledged without a sync: ${line}`)
        assert.ok(!unsynced, `acknowledged with something unsynced: ${line}`)
        synced = false
        acknowledged += 1
      }
    }
    assert.equal(acknowledged, 10)
  })
})
