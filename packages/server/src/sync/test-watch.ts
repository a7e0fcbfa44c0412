import assert from 'node:assert/strict'
import { syncV1, type types } from '@plastron/api'

const reasonNames = new Map<number, string>(
  Object.entries(syncV1.SnapshotBegin_Reason).map(([name, value]) => [value, name]),
)

/** What an agent knows by its stream, applied as the API demands: whole snapshots and deltas, in order. */
export class WatchedState {
  readonly entries = new Map<string, types.Entry>()
  readonly bundles = new Map<string, types.Bundle>()
  position: syncV1.Position | undefined
  /** What came, one word each: the reason of a snapshot, or `delta` with what it held. */
  readonly told: string[] = []
  /** Everything that a stream ever said about these, to find what it should not have. */
  readonly namedIds = new Set<string>()
  #parts: syncV1.WatchResponse[] = []
  #reason = ''

  /** Takes one message. Returns whether something was applied. */
  take(message: syncV1.WatchResponse): boolean {
    assert.ok(message.serverTime !== undefined)
    const { content } = message
    switch (content.case) {
      case 'snapshotBegin':
        this.#parts = []
        this.#reason = reasonNames.get(content.value.reason) ?? assert.fail('an unknown reason')
        return false
      case 'snapshotChunk':
        assert.notEqual(this.#reason, '')
        this.#parts.push(message)
        return false
      case 'snapshotEnd':
        this.#applySnapshot(content.value)
        return true
      case 'delta':
        assert.equal(this.#reason, '', 'no delta in the middle of a snapshot')
        this.#parts.push(message)
        if (content.value.more) {
          assert.equal(content.value.position, undefined)
          return false
        }
        this.#applyDelta(content.value.position)
        return true
      default:
        assert.fail('a message without content')
    }
  }

  /** A new stream begins: what was not complete is void. */
  reconnected(): void {
    this.#parts = []
    this.#reason = ''
  }

  get number(): bigint {
    return this.position?.number ?? -1n
  }

  #applySnapshot(end: syncV1.SnapshotEnd): void {
    this.entries.clear()
    this.bundles.clear()
    for (const { content } of this.#parts) {
      assert.ok(content.case === 'snapshotChunk')
      for (const entry of content.value.entries) this.entries.set(entry.id, entry)
      for (const bundle of content.value.bundles) this.bundles.set(bundle.trustDomain, bundle)
    }
    assert.equal(BigInt(this.entries.size), end.entryCount)
    assert.equal(BigInt(this.bundles.size), end.bundleCount)
    for (const id of this.entries.keys()) this.namedIds.add(id)
    this.#moveTo(end.position)
    this.told.push(this.#reason)
    this.reconnected()
  }

  #applyDelta(position: syncV1.Position | undefined): void {
    const words: string[] = []
    for (const { content } of this.#parts) {
      assert.ok(content.case === 'delta')
      const { entries, removedEntryIds, bundles, removedBundles } = content.value
      for (const entry of entries) {
        this.entries.set(entry.id, entry)
        this.namedIds.add(entry.id)
        words.push(`+${entry.id}`)
      }
      for (const id of removedEntryIds) {
        this.entries.delete(id)
        this.namedIds.add(id)
        words.push(`-${id}`)
      }
      for (const bundle of bundles) {
        this.bundles.set(bundle.trustDomain, bundle)
        words.push(`+${bundle.trustDomain}`)
      }
      for (const name of removedBundles) {
        this.bundles.delete(name)
        words.push(`-${name}`)
      }
    }
    this.#moveTo(position)
    this.told.push(['delta', ...words.toSorted()].join(' '))
    this.reconnected()
  }

  #moveTo(position: syncV1.Position | undefined): void {
    assert.ok(position !== undefined)
    assert.equal(position.historyId.length, 16)
    const before = this.position
    if (before !== undefined && Buffer.from(before.historyId).equals(position.historyId)) {
      assert.ok(position.number >= before.number, `position went back from ${before.number} to ${position.number}`)
    }
    this.position = position
  }
}
