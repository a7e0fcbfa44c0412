import type { AuthorityNames, BundleAuthorities, BundleDeleteMode } from '../datastore.ts'
import { DatastoreError } from '../errors.ts'
import type { BundleRecord, KeyAuthorityRecord, X509AuthorityRecord } from '../records.ts'
import { deleteEntry, readEntries, updateEntry } from './entries.ts'
import { bundleFromRow, bundleToRow, readable } from './rows.ts'
import type { Transaction } from './transaction.ts'

async function findBundle(tx: Transaction, trustDomain: string): Promise<BundleRecord | undefined> {
  const row = await tx.db.selectFrom('bundles').selectAll().where('trust_domain', '=', trustDomain).executeTakeFirst()
  return row === undefined ? undefined : bundleFromRow(row)
}

async function requireBundle(tx: Transaction, trustDomain: string): Promise<BundleRecord> {
  const bundle = await findBundle(tx, trustDomain)
  if (bundle === undefined) throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', 'bundle not found')
  return bundle
}

async function insertBundle(tx: Transaction, bundle: BundleRecord): Promise<BundleRecord> {
  await tx.db.insertInto('bundles').values(bundleToRow(bundle)).execute()
  tx.changed({ aggregate: 'bundle', id: bundle.trustDomain, value: bundle })
  return bundle
}

async function replaceBundle(tx: Transaction, bundle: BundleRecord): Promise<BundleRecord> {
  await tx.db.updateTable('bundles').set(bundleToRow(bundle)).where('trust_domain', '=', bundle.trustDomain).execute()
  tx.changed({ aggregate: 'bundle', id: bundle.trustDomain, value: bundle })
  return bundle
}

/** Creates or replaces a bundle as given. */
export async function setBundle(tx: Transaction, bundle: BundleRecord): Promise<BundleRecord> {
  return (await findBundle(tx, bundle.trustDomain)) === undefined ? insertBundle(tx, bundle) : replaceBundle(tx, bundle)
}

const derName = (authority: X509AuthorityRecord): string => Buffer.from(authority.der).toString('base64')
const keyName = (authority: KeyAuthorityRecord): string => authority.keyId

/** The names of one list of authorities, each with how to find it. */
function lists(names: AuthorityNames) {
  return {
    x509: new Set((names.x509 ?? []).map(der => Buffer.from(der).toString('base64'))),
    jwt: new Set(names.jwt ?? []),
    wit: new Set(names.wit ?? []),
  }
}

function merge<T>(known: readonly T[], more: readonly T[] | undefined, name: (item: T) => string): readonly T[] {
  if (more === undefined || more.length === 0) return known
  const merged = new Map(known.map(item => [name(item), item]))
  for (const item of more) if (!merged.has(name(item))) merged.set(name(item), item)
  return merged.size === known.length ? known : [...merged.values()]
}

function requireAll<T extends { tainted: boolean }>(
  items: readonly T[],
  wanted: ReadonlySet<string>,
  name: (item: T) => string,
  tainted: boolean,
  kind: string,
): void {
  const known = new Map(items.map(item => [name(item), item]))
  for (const wantedName of wanted) {
    const item = known.get(wantedName)
    if (item === undefined) throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', `no ${kind} authority with that name`)
    if (item.tainted !== tainted) {
      throw new DatastoreError(
        'ERR_DATASTORE_INVALID',
        tainted ? `the ${kind} authority is not tainted` : `the ${kind} authority is tainted already`,
      )
    }
  }
}

function requireNamed(bundle: BundleRecord, names: ReturnType<typeof lists>, tainted: boolean): void {
  requireAll(bundle.x509Authorities, names.x509, derName, tainted, 'X.509')
  requireAll(bundle.jwtAuthorities, names.jwt, keyName, tainted, 'JWT')
  requireAll(bundle.witAuthorities, names.wit, keyName, tainted, 'WIT')
}

/** The next sequence number. After the last that 64 bits hold comes 0: no message has room for more. */
function following(sequenceNumber: bigint): bigint {
  return BigInt.asUintN(64, sequenceNumber + 1n)
}

function without(bundle: BundleRecord, names: ReturnType<typeof lists>): BundleRecord {
  return {
    ...bundle,
    x509Authorities: bundle.x509Authorities.filter(item => !names.x509.has(derName(item))),
    jwtAuthorities: bundle.jwtAuthorities.filter(item => !names.jwt.has(item.keyId)),
    witAuthorities: bundle.witAuthorities.filter(item => !names.wit.has(item.keyId)),
    sequenceNumber: following(bundle.sequenceNumber),
  }
}

function size(bundle: BundleRecord): number {
  return bundle.x509Authorities.length + bundle.jwtAuthorities.length + bundle.witAuthorities.length
}

/** Deletes or dissociates the entries that federate with a bundle; each is a change of its own that agents learn of. */
async function releaseEntries(tx: Transaction, trustDomain: string, mode: BundleDeleteMode): Promise<void> {
  const rows = await tx.db
    .selectFrom('entries')
    .selectAll()
    .where('row', 'in', db =>
      db.selectFrom('entry_federations').select('entry_row').where('trust_domain', '=', trustDomain),
    )
    .orderBy('row')
    .execute()
  if (rows.length === 0) return
  if (mode === 'restrict') {
    throw new DatastoreError(
      'ERR_DATASTORE_CONFLICT',
      `cannot delete bundle; federated with ${rows.length} registration entries`,
    )
  }
  if (mode === 'delete') {
    for (const row of rows) await deleteEntry(tx, row)
    return
  }
  for (const entry of readEntries(tx, rows)) {
    await updateEntry(tx, entry, { federatesWith: entry.federatesWith.filter(name => name !== trustDomain) })
  }
  await tx.db.deleteFrom('entry_federations').where('trust_domain', '=', trustDomain).execute()
}

/** Reads and writes of bundles; what each promises is said by the interfaces of `datastore.ts` and `changes.ts`. */
export const bundleOperations = {
  async 'bundles.get'(tx: Transaction, trustDomain: string): Promise<BundleRecord | undefined> {
    return findBundle(tx, trustDomain)
  },
  async 'bundles.list'(tx: Transaction): Promise<BundleRecord[]> {
    const rows = await tx.db.selectFrom('bundles').selectAll().orderBy('trust_domain').execute()
    return readable(tx, 'bundles', rows, row => row.trust_domain, bundleFromRow)
  },
  async 'bundles.create'(tx: Transaction, bundle: BundleRecord): Promise<BundleRecord> {
    if ((await findBundle(tx, bundle.trustDomain)) !== undefined) {
      throw new DatastoreError('ERR_DATASTORE_ALREADY_EXISTS', 'bundle already exists')
    }
    return insertBundle(tx, bundle)
  },
  async 'bundles.update'(
    tx: Transaction,
    trustDomain: string,
    parts: Partial<Omit<BundleRecord, 'trustDomain'>>,
  ): Promise<BundleRecord> {
    return replaceBundle(tx, { ...(await requireBundle(tx, trustDomain)), ...parts })
  },
  async 'bundles.set'(tx: Transaction, bundle: BundleRecord): Promise<BundleRecord> {
    return setBundle(tx, bundle)
  },
  async 'bundles.append'(tx: Transaction, trustDomain: string, added: BundleAuthorities): Promise<BundleRecord> {
    const known = await findBundle(tx, trustDomain)
    const base: BundleRecord = known ?? {
      trustDomain,
      x509Authorities: [],
      jwtAuthorities: [],
      witAuthorities: [],
      refreshHintSeconds: 0,
      sequenceNumber: 0n,
    }
    const merged = {
      ...base,
      x509Authorities: merge(base.x509Authorities, added.x509Authorities, derName),
      jwtAuthorities: merge(base.jwtAuthorities, added.jwtAuthorities, keyName),
      witAuthorities: merge(base.witAuthorities, added.witAuthorities, keyName),
    }
    if (known === undefined) return insertBundle(tx, merged)
    if (size(merged) === size(known)) return known
    return replaceBundle(tx, { ...merged, sequenceNumber: following(known.sequenceNumber) })
  },
  async 'bundles.taint'(tx: Transaction, trustDomain: string, authorities: AuthorityNames): Promise<BundleRecord> {
    const bundle = await requireBundle(tx, trustDomain)
    const names = lists(authorities)
    requireNamed(bundle, names, false)
    const taint =
      <T extends { tainted: boolean }>(wanted: ReadonlySet<string>, name: (item: T) => string) =>
      (item: T): T =>
        wanted.has(name(item)) ? { ...item, tainted: true } : item
    return replaceBundle(tx, {
      ...bundle,
      x509Authorities: bundle.x509Authorities.map(taint(names.x509, derName)),
      jwtAuthorities: bundle.jwtAuthorities.map(taint(names.jwt, keyName)),
      witAuthorities: bundle.witAuthorities.map(taint(names.wit, keyName)),
      sequenceNumber: following(bundle.sequenceNumber),
    })
  },
  async 'bundles.revoke'(tx: Transaction, trustDomain: string, authorities: AuthorityNames): Promise<BundleRecord> {
    const bundle = await requireBundle(tx, trustDomain)
    const names = lists(authorities)
    requireNamed(bundle, names, true)
    return replaceBundle(tx, without(bundle, names))
  },
  async 'bundles.prune'(
    tx: Transaction,
    trustDomain: string,
    authorities: AuthorityNames,
  ): Promise<BundleRecord | undefined> {
    const bundle = await findBundle(tx, trustDomain)
    if (bundle === undefined) return undefined
    const pruned = without(bundle, lists(authorities))
    return size(pruned) === size(bundle) ? bundle : replaceBundle(tx, pruned)
  },
  async 'bundles.delete'(tx: Transaction, trustDomain: string, mode: BundleDeleteMode): Promise<void> {
    await requireBundle(tx, trustDomain)
    await releaseEntries(tx, trustDomain, mode)
    await tx.db.deleteFrom('bundles').where('trust_domain', '=', trustDomain).execute()
    tx.changed({ aggregate: 'bundle', id: trustDomain, value: undefined })
  },
}
