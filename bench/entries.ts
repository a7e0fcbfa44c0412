import type { MessageInitShape } from '@bufbuild/protobuf'
import { entryV1, type types } from '@plastron/api'
import type { GrpcConnection } from './grpc-connection.ts'
import { call } from './rpc.ts'

/** The fields of an entry to be created. */
export type NewEntry = MessageInitShape<typeof types.EntrySchema>

/** An entry for a workload of this user, or for the selectors that are given as `type:value`. */
export function entryOf(
  trustDomain: string,
  path: string,
  parentPath: string,
  selectors: readonly string[] = [`unix:uid:${process.getuid?.() ?? 0}`],
): NewEntry {
  return {
    spiffeId: { trustDomain, path },
    parentId: { trustDomain, path: parentPath },
    selectors: selectors.map(selector => {
      const colon = selector.indexOf(':')
      return { type: selector.slice(0, colon), value: selector.slice(colon + 1) }
    }),
  }
}

/** Creates entries in one call; resolves with their ids. */
export async function createEntries(admin: GrpcConnection, entries: NewEntry[]): Promise<string[]> {
  const { results } = await call(admin, entryV1.Entry.method.batchCreateEntry, { entries })
  return results.map(({ status, entry }) => {
    if (status?.code !== 0) throw new Error(`an entry was refused: ${status?.message}`)
    return entry?.id ?? ''
  })
}
