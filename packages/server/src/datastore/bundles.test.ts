import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Change } from './changes.ts'
import { isDatastoreError } from './errors.ts'
import type { KeyAuthorityRecord, X509AuthorityRecord } from './records.ts'
import { newBundle, newEntry, openTestDatastore } from './test-datastore.ts'

const der = (...bytes: number[]): X509AuthorityRecord => ({ der: Uint8Array.from(bytes), tainted: false })
const key = (keyId: string): KeyAuthorityRecord => ({
  keyId,
  publicKey: Uint8Array.from([1, 2]),
  expiresAt: 5,
  tainted: false,
})
const refusal = (code: Parameters<typeof isDatastoreError>[1]) => (error: unknown) => isDatastoreError(error, code)

describe('bundles in the datastore', () => {
  test('SRV-DS-043 appending merges by DER and key id, and counts only when something changed', async () => {
    await using house = await openTestDatastore()
    const { bundles } = house.store
    const first = await bundles.append('own.org', { x509Authorities: [der(1)], jwtAuthorities: [key('a')] })
    assert.equal(first.sequenceNumber, 0n)
    const same = await bundles.append('own.org', {
      x509Authorities: [der(1)],
      jwtAuthorities: [{ ...key('a'), expiresAt: 9 }],
    })
    assert.deepEqual(same, first)
    const more = await bundles.append('own.org', {
      x509Authorities: [der(1), der(2)],
      jwtAuthorities: [key('b')],
      witAuthorities: [key('w')],
    })
    assert.equal(more.sequenceNumber, 1n)
    assert.deepEqual([more.x509Authorities.length, more.jwtAuthorities.length, more.witAuthorities.length], [2, 2, 1])
    assert.deepEqual(await bundles.get('own.org'), more)
  })

  test('SRV-DS-044 taint, revoke and prune each count one; twice tainted and untainted revoked are invalid, unknown is not found', async () => {
    await using house = await openTestDatastore()
    const { bundles } = house.store
    const x509 = [Uint8Array.from([1])]
    await assert.rejects(bundles.taint('own.org', { x509 }), refusal('ERR_DATASTORE_NOT_FOUND'))
    await bundles.append('own.org', { x509Authorities: [der(1), der(2)], jwtAuthorities: [key('a')] })
    await assert.rejects(bundles.revoke('own.org', { x509 }), refusal('ERR_DATASTORE_INVALID'))
    await assert.rejects(bundles.taint('own.org', { jwt: ['none'] }), refusal('ERR_DATASTORE_NOT_FOUND'))
    const tainted = await bundles.taint('own.org', { x509, jwt: ['a'] })
    assert.equal(tainted.sequenceNumber, 1n)
    assert.deepEqual(tainted.x509Authorities, [{ ...der(1), tainted: true }, der(2)])
    await assert.rejects(bundles.taint('own.org', { x509 }), refusal('ERR_DATASTORE_INVALID'))
    await assert.rejects(bundles.revoke('own.org', { jwt: ['none'] }), refusal('ERR_DATASTORE_NOT_FOUND'))
    const revoked = await bundles.revoke('own.org', { x509 })
    assert.deepEqual([revoked.sequenceNumber, revoked.x509Authorities], [2n, [der(2)]])
    const pruned = await bundles.prune('own.org', { x509: [Uint8Array.from([2])], jwt: ['none'] })
    assert.deepEqual([pruned?.sequenceNumber, pruned?.x509Authorities], [3n, []])
    assert.equal((await bundles.prune('own.org', { jwt: ['none'] }))?.sequenceNumber, 3n, 'nothing to prune')
    assert.equal(await bundles.prune('none.org', {}), undefined)
  })

  test('SRV-DS-045 a bundle that is set is stored as given, sequence number included', async () => {
    await using house = await openTestDatastore()
    const { bundles } = house.store
    const bundle = newBundle({ sequenceNumber: 2n ** 63n, refreshHintSeconds: 300, x509Authorities: [der(7)] })
    assert.deepEqual(await bundles.set(bundle), bundle)
    const older = newBundle({ sequenceNumber: 3n })
    assert.deepEqual(await bundles.set(older), older)
    assert.deepEqual(await bundles.list(), [older])
    await assert.rejects(bundles.create(older), refusal('ERR_DATASTORE_ALREADY_EXISTS'))
    assert.equal((await bundles.update('other.org', { refreshHintSeconds: 1 })).refreshHintSeconds, 1)
    await assert.rejects(bundles.update('none.org', {}), refusal('ERR_DATASTORE_NOT_FOUND'))
  })

  test('SRV-API-070 SRV-DS-046 SRV-WEAK-009 deleting a bundle restricts, dissociates or deletes entries, and each touched entry is a change', async () => {
    await using house = await openTestDatastore()
    const { bundles, entries, changes } = house.store
    await bundles.create(newBundle())
    await bundles.create(newBundle({ trustDomain: 'third.org' }))
    await entries.create([
      newEntry({ id: 'both', federatesWith: ['other.org', 'third.org'] }),
      newEntry({ id: 'third', selectors: ['a:1'], federatesWith: ['third.org'] }),
      newEntry({ id: 'none', selectors: ['a:2'] }),
    ])
    const seen: Change[] = []
    changes.onCommit(commit => seen.push(...commit.changes))
    await assert.rejects(bundles.delete('other.org', 'restrict'), refusal('ERR_DATASTORE_CONFLICT'))
    await bundles.delete('other.org', 'dissociate')
    const both = await entries.get('both')
    assert.deepEqual([both?.federatesWith, both?.revision], [['third.org'], 1])
    await bundles.delete('third.org', 'delete')
    assert.deepEqual(
      seen.map(({ aggregate, id, value }) => `${aggregate} ${id} ${value === undefined ? 'gone' : 'set'}`),
      ['entry both set', 'bundle other.org gone', 'entry both gone', 'entry third gone', 'bundle third.org gone'],
    )
    assert.deepEqual(
      (await entries.page(0, 9)).items.map(entry => entry.id),
      ['none'],
    )
    await assert.rejects(bundles.delete('third.org', 'restrict'), refusal('ERR_DATASTORE_NOT_FOUND'))
    await bundles.create(newBundle())
    await bundles.delete('other.org', 'restrict')
  })
})

describe('federation relationships and CA journals in the datastore', () => {
  test('relationships are created once, updated, listed in order and deleted without their bundle', async () => {
    await using house = await openTestDatastore()
    const { federation, bundles } = house.store
    const web = {
      trustDomain: 'other.org',
      bundleEndpointUrl: 'https://other.org/bundle',
      profile: { kind: 'https_web' as const },
    }
    const stored = await federation.create(web, newBundle())
    assert.deepEqual(stored, { ...web, row: 1 })
    await assert.rejects(federation.create(web), refusal('ERR_DATASTORE_ALREADY_EXISTS'))
    const profile = { kind: 'https_spiffe' as const, endpointSpiffeId: 'spiffe://other.org/server' }
    assert.deepEqual(await federation.update('other.org', { profile }), { ...stored, profile })
    assert.deepEqual(await federation.list(), [{ ...stored, profile }])
    await federation.delete('other.org')
    assert.equal(await federation.get('other.org'), undefined)
    assert.notEqual(await bundles.get('other.org'), undefined)
    await assert.rejects(federation.delete('other.org'), refusal('ERR_DATASTORE_NOT_FOUND'))
  })

  test('SRV-DS-023 journals are saved by id and belong to one active authority', async () => {
    await using house = await openTestDatastore()
    const { caJournals } = house.store
    const first = await caJournals.save({ activeX509AuthorityId: 'aa', data: Uint8Array.from([1]) })
    const second = await caJournals.save({ activeX509AuthorityId: 'bb', data: Uint8Array.from([2]) })
    await caJournals.save({ id: first.id, activeX509AuthorityId: 'cc', data: Uint8Array.from([3]) })
    assert.deepEqual(await caJournals.list(), [
      { id: first.id, activeX509AuthorityId: 'cc', data: Uint8Array.from([3]) },
      second,
    ])
    await caJournals.delete(first.id)
    assert.equal(await caJournals.get(first.id), undefined)
    await assert.rejects(
      caJournals.save({ id: 99, activeX509AuthorityId: '', data: Uint8Array.of() }),
      refusal('ERR_DATASTORE_NOT_FOUND'),
    )
  })
})
