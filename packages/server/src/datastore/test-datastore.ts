import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BundleRecord, NewEntry } from './records.ts'
import { openSqliteDatastore, type SqliteDatastore } from './sqlite/sqlite-datastore.ts'

/** A datastore of its own in a folder of its own, with a clock that a test sets; both go away with it. */
export class TestDatastore implements AsyncDisposable {
  readonly folder: string
  readonly path: string
  readonly unreadable: string[] = []
  /** Why new histories began. */
  readonly newHistories: string[] = []
  /** Seconds since 1970. */
  now = 1_800_000_000
  #store: SqliteDatastore | undefined

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'plastron-datastore-'))
    this.path = join(this.folder, 'datastore.sqlite3')
  }

  get store(): SqliteDatastore {
    if (this.#store === undefined) throw new Error('not open')
    return this.#store
  }

  async open(busyTimeoutMs?: number): Promise<SqliteDatastore> {
    this.#store = await openSqliteDatastore({
      path: this.path,
      now: () => new Date(this.now * 1000),
      busyTimeoutMs,
      onUnreadable: row => this.unreadable.push(row),
      onNewHistory: reason => this.newHistories.push(reason),
    })
    return this.#store
  }

  async close(): Promise<void> {
    const store = this.#store
    this.#store = undefined
    await store?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A datastore, open and empty. */
export async function openTestDatastore(): Promise<TestDatastore> {
  const made = new TestDatastore()
  await made.open()
  return made
}

/** An entry with what a test says, and defaults for the rest. */
export function newEntry(fields: Partial<NewEntry> = {}): NewEntry {
  return {
    spiffeId: 'spiffe://example.org/workload',
    parentId: 'spiffe://example.org/spire/agent/x509pop/1',
    selectors: ['unix:uid:1000'],
    x509SvidTtlSeconds: 0,
    jwtSvidTtlSeconds: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    storeSvid: false,
    expiresAt: 0,
    dnsNames: [],
    hint: '',
    attributes: undefined,
    ...fields,
  }
}

/** A bundle with what a test says, and defaults for the rest. */
export function newBundle(fields: Partial<BundleRecord> = {}): BundleRecord {
  return {
    trustDomain: 'other.org',
    x509Authorities: [],
    jwtAuthorities: [],
    witAuthorities: [],
    refreshHintSeconds: 0,
    sequenceNumber: 0n,
    ...fields,
  }
}
