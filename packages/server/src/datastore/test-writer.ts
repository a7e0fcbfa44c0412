// A process that writes entries and says on its standard output which were acknowledged: tests kill it or trace it.
//   node test-writer.ts DATABASE PREFIX COUNT CONCURRENCY
import { writeSync } from 'node:fs'
import { openSqliteDatastore } from './sqlite/sqlite-datastore.ts'
import { newEntry } from './test-datastore.ts'

const [path = '', prefix = '', count = '1', concurrency = '1'] = process.argv.slice(2)
const store = await openSqliteDatastore({ path, now: () => new Date() })
writeSync(1, 'READY\n')
let next = 0
async function write(): Promise<void> {
  while (next < Number(count)) {
    const id = `${prefix}-${next++}`
    const [outcome] = await store.entries.create([newEntry({ id, selectors: [`unix:path:/${id}`] })])
    if (outcome?.ok !== true) throw new Error(`not stored: ${id}`)
    writeSync(1, `ACK ${id}\n`)
  }
}
await Promise.all(Array.from({ length: Number(concurrency) }, write))
await store[Symbol.asyncDispose]()
