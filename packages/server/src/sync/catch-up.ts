import type { BundleRecord, EntryRecord } from '../datastore/index.ts'
import type { Registry } from '../registration/index.ts'
import type { ChangeRing } from './change-ring.ts'
import type { DeltaContent } from './watch-message.ts'

/** Changes that are always looked at rather than sending everything. */
const FEW_CHANGES = 256
/** With more changes than this for each entry of an agent, everything is cheaper. */
const CHANGES_PER_ENTRY = 4

/**
 * What an agent missed since a position, if telling that is possible and cheaper than telling everything: not when what
 * is above its entries changed, or the agent itself, or when a bundle was deleted that it may have.
 *
 * @param number - a position that the ring still covers
 */
export function missedSince(
  number: number,
  agentId: string,
  present: readonly EntryRecord[],
  { registry, ring, ownTrustDomain }: { registry: Registry; ring: ChangeRing; ownTrustDomain: string },
): DeltaContent | 'too-many' | 'changed' {
  if (registry.position.number - number > Math.max(FEW_CHANGES, CHANGES_PER_ENTRY * present.length)) return 'too-many'
  const parentsOf = new Map<string, Set<string>>()
  const changedBundles = new Set<string>()
  const changedIds = new Set<string | undefined>()
  for (const change of ring.after(number)) {
    if (change === undefined) continue
    if ('agent' in change) {
      if (change.agent === agentId) return 'changed'
    } else if ('bundle' in change) {
      if (change.deleted) return 'changed'
      changedBundles.add(change.bundle)
    } else {
      if (change.reshaped) return 'changed'
      changedIds.add(change.spiffeIdBefore).add(change.spiffeIdAfter)
      const parents = parentsOf.get(change.id) ?? new Set<string>()
      parentsOf.set(change.id, parents)
      if (change.parentBefore !== undefined) parents.add(change.parentBefore)
      if (change.parentAfter !== undefined) parents.add(change.parentAfter)
    }
  }
  const entries: EntryRecord[] = []
  const names = new Set<string>()
  for (const entry of present) {
    const changed = parentsOf.delete(entry.id)
    if (changed) entries.push(entry)
    // Of an entry that is new to the agent, also bundles that did not change.
    for (const name of entry.federatesWith) if (changed || changedBundles.has(name)) names.add(name)
  }
  if (changedBundles.has(ownTrustDomain)) names.add(ownTrustDomain)
  const removedIds: string[] = []
  // What is left is not the agent's now; it is told only of what was.
  for (const [id, parents] of parentsOf) {
    for (const parent of parents) {
      // What leads there now is not what led there while the entry was there.
      if (changedIds.has(parent)) return 'changed'
      if (!registry.isUnder(agentId, parent)) continue
      removedIds.push(id)
      break
    }
  }
  return { entries, removedIds, bundles: bundlesNamed(registry, names), removedBundles: [] }
}

/** The bundles of these trust domains, without those that there are none of. */
export function bundlesNamed(registry: Registry, names: Iterable<string>): BundleRecord[] {
  return [...names].map(name => registry.bundle(name)).filter(bundle => bundle !== undefined)
}

/** The foreign trust domains that entries federate with; undefined for none. */
export function federatedNames(entries: readonly EntryRecord[]): Set<string> | undefined {
  let names: Set<string> | undefined
  for (const entry of entries) {
    for (const name of entry.federatesWith) {
      names ??= new Set()
      names.add(name)
    }
  }
  return names
}
