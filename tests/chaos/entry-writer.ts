import assert from 'node:assert/strict'
import { entryV1, type types } from '@plastron/api'
import type { SocketClient } from '@plastron/runtime/cli'

/** What is known of an entry: the hint that was acknowledged last, and what was asked for and not acknowledged. No hint: it is not there. */
interface Known {
  acknowledged: string | undefined
  attempted?: { readonly hint: string | undefined }
}

/** Who the entries are for. */
export interface EntryKind {
  /** Begins the entries' ids. */
  readonly name: string
  readonly trustDomain: string
  readonly parentPath: string
}

/**
 * Creates, changes and deletes entries one after the other and keeps what was acknowledged. Whatever the server dies of, {@link verify}
 * must find all that was acknowledged, and nothing that nobody asked for.
 */
export class EntryWriter {
  readonly #kind: EntryKind
  readonly #known = new Map<string, Known>()
  #count = 0
  #acknowledged = 0

  constructor(kind: EntryKind) {
    this.#kind = kind
  }

  /** How many writes were acknowledged. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Writes until told to stop, or until the server is gone. */
  async run(admin: SocketClient, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#count += 1
      const settled = [...this.#known].filter(([, known]) => known.attempted === undefined && known.acknowledged)
      const [oldest] = settled
      // A steady number: every round creates one, and changes or deletes an older one.
      if (settled.length < 20 || oldest === undefined) await this.#create(admin)
      else if (this.#count % 2 === 0) await this.#update(admin, settled[this.#count % settled.length]?.[0] ?? oldest[0])
      else await this.#delete(admin, oldest[0])
    }
  }

  /** Compares what is there with what was acknowledged. */
  async verify(admin: SocketClient): Promise<void> {
    const there = await this.#list(admin)
    for (const [id, known] of this.#known) {
      const found = there.get(id)
      const allowed = [known.acknowledged, ...(known.attempted ? [known.attempted.hint] : [])]
      assert.ok(
        allowed.includes(found),
        `entry ${id} has the hint ${found ?? '(not there)'}, not one of: ${allowed.map(hint => hint ?? '(not there)').join(', ')}`,
      )
      there.delete(id)
      if (found === undefined) this.#known.delete(id)
      else this.#known.set(id, { acknowledged: found })
    }
    assert.deepEqual([...there.keys()], [], 'entries that nobody asked for')
  }

  async #create(admin: SocketClient): Promise<void> {
    const id = `${this.#kind.name}-${this.#count}`
    const hint = `created-${this.#count}`
    const { name, trustDomain, parentPath } = this.#kind
    await this.#attempt(id, hint, async () => {
      const answer = await admin.call(entryV1.Entry.method.batchCreateEntry, {
        entries: [
          {
            id,
            hint,
            spiffeId: { trustDomain, path: `/load/${id}` },
            parentId: { trustDomain, path: parentPath },
            selectors: [{ type: 'test', value: name }],
          },
        ],
      })
      return answer.results[0]?.status
    })
  }

  async #update(admin: SocketClient, id: string): Promise<void> {
    const hint = `changed-${this.#count}`
    await this.#attempt(id, hint, async () => {
      const answer = await admin.call(entryV1.Entry.method.batchUpdateEntry, {
        entries: [{ id, hint }],
        inputMask: { hint: true },
      })
      return answer.results[0]?.status
    })
  }

  async #delete(admin: SocketClient, id: string): Promise<void> {
    await this.#attempt(id, undefined, async () => {
      const answer = await admin.call(entryV1.Entry.method.batchDeleteEntry, { ids: [id] })
      return answer.results[0]?.status
    })
  }

  async #attempt(id: string, hint: string | undefined, write: () => Promise<types.Status | undefined>): Promise<void> {
    const known = this.#known.get(id) ?? { acknowledged: undefined }
    this.#known.set(id, { ...known, attempted: { hint } })
    let status: types.Status | undefined
    try {
      status = await write()
    } catch {
      // The server is gone, or about to be: whether it still wrote this is for `verify` to see.
      await new Promise(resolve => setTimeout(resolve, 20))
      return
    }
    assert.equal(status?.code, 0, status?.message)
    this.#acknowledged += 1
    if (hint === undefined) this.#known.delete(id)
    else this.#known.set(id, { acknowledged: hint })
  }

  async #list(admin: SocketClient): Promise<Map<string, string>> {
    const there = new Map<string, string>()
    let pageToken = ''
    do {
      const page = await admin.call(entryV1.Entry.method.listEntries, { pageSize: 500, pageToken })
      for (const { id, hint } of page.entries) if (id.startsWith(`${this.#kind.name}-`)) there.set(id, hint)
      pageToken = page.nextPageToken
    } while (pageToken !== '')
    return there
  }
}
