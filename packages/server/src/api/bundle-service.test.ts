import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { bundleV1, types } from '@plastron/api'
import { mintCertificate, Name, PrivateKey, signingProfile } from '@plastron/pki'
import fc from 'fast-check'
import { newBundle, newEntry } from '../datastore/test-datastore.ts'
import { bundleMessage } from './bundle-messages.ts'
import { openTestApi, rejection, type TestApi, tlsPeer } from './test-api.ts'

const local = (api: TestApi) => api.client(bundleV1.Bundle)
const key = await PrivateKey.generate('ec-p256')
const spki = key.publicKey.spki
const certificate = await makeCertificate()

async function makeCertificate(): Promise<Uint8Array> {
  const subject = Name.create([{ type: 'CN', value: 'authority' }])
  const profile = signingProfile({
    publicKey: key.publicKey,
    subject,
    uris: ['spiffe://example.org'],
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2036-01-01T00:00:00Z'),
  })
  return mintCertificate(profile, { signer: key, name: subject, subjectKeyId: key.publicKey.subjectKeyId() })
}

type BundleInit = MessageInitShape<typeof types.BundleSchema>
const foreign = (fields: BundleInit = {}): BundleInit => ({
  trustDomain: 'other.org',
  x509Authorities: [{ asn1: certificate }],
  jwtAuthorities: [{ publicKey: spki, keyId: 'k', expiresAt: 7n }],
  refreshHint: 60n,
  sequenceNumber: 42n,
  ...fields,
})

describe('our own bundle over the API', () => {
  test('SRV-API-060 SRV-DS-053 anyone gets it, masked; before there is one it is not found', async () => {
    await using api = await openTestApi()
    const client = await api.client(bundleV1.Bundle, tlsPeer(undefined))
    const missing = await rejection(client.getBundle({}))
    assert.deepEqual([missing.code, missing.message], ['NOT_FOUND', 'bundle not found'])
    await api.house.store.bundles.append('example.org', { x509Authorities: [{ der: certificate, tainted: false }] })
    assert.ok((await client.getBundle({})).x509Authorities.some(({ asn1 }) => Buffer.compare(asn1, certificate) === 0))
    const masked = await client.getBundle({ outputMask: { jwtAuthorities: true } })
    assert.deepEqual([masked.trustDomain, masked.x509Authorities], ['example.org', []])
  })

  test('SRV-API-061 SRV-API-071 SRV-WEAK-004 authorities are appended and merged, WIT ones too; a taint that a caller claims is dropped', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const merged = await client.appendBundle({
      x509Authorities: [{ asn1: certificate, tainted: true }],
      jwtAuthorities: [{ publicKey: spki, keyId: 'j', tainted: true }],
      witAuthorities: [{ publicKey: spki, keyId: 'w' }],
    })
    assert.deepEqual(
      [merged.x509Authorities, merged.jwtAuthorities, merged.witAuthorities].map(list =>
        list.map(item => item.tainted),
      ),
      [[false], [false], [false]],
    )
    const again = await client.appendBundle({ x509Authorities: [{ asn1: certificate }] })
    assert.equal(again.sequenceNumber, merged.sequenceNumber)
    const code = async (request: MessageInitShape<typeof bundleV1.AppendBundleRequestSchema>) =>
      (await rejection(client.appendBundle(request))).code
    assert.equal(await code({}), 'INVALID_ARGUMENT')
    assert.equal(await code({ x509Authorities: [{ asn1: Uint8Array.of(1, 2) }] }), 'INVALID_ARGUMENT')
    assert.equal(
      await code({ x509Authorities: [{ asn1: Buffer.concat([certificate, certificate]) }] }),
      'INVALID_ARGUMENT',
    )
    assert.equal(await code({ jwtAuthorities: [{ publicKey: spki }] }), 'INVALID_ARGUMENT')
    assert.equal(await code({ jwtAuthorities: [{ publicKey: Uint8Array.of(1), keyId: 'x' }] }), 'INVALID_ARGUMENT')
  })

  test('SRV-API-062 SRV-API-063 SRV-WEAK-004 a downstream server publishes JWT and WIT keys and gets all of them', async () => {
    await using api = await openTestApi()
    const id = 'spiffe://example.org/downstream'
    await api.house.store.entries.create([newEntry({ spiffeId: id, downstream: true })])
    const client = await api.client(bundleV1.Bundle, tlsPeer(id))
    await client.publishJWTAuthority({ jwtAuthority: { publicKey: spki, keyId: 'a', expiresAt: 9n } })
    const { jwtAuthorities } = await client.publishJWTAuthority({ jwtAuthority: { publicKey: spki, keyId: 'b' } })
    assert.deepEqual(
      jwtAuthorities.map(({ keyId, expiresAt }) => [keyId, expiresAt]),
      [
        ['a', 9n],
        ['b', 0n],
      ],
    )
    const { witAuthorities } = await client.publishWITAuthority({ witAuthority: { publicKey: spki, keyId: 'w' } })
    assert.deepEqual(
      witAuthorities.map(({ keyId }) => keyId),
      ['w'],
    )
    assert.equal((await rejection(client.publishJWTAuthority({}))).code, 'INVALID_ARGUMENT')
    assert.equal((await rejection(client.publishWITAuthority({}))).code, 'INVALID_ARGUMENT')
    assert.equal(
      (await rejection(client.publishJWTAuthority({ jwtAuthority: { publicKey: spki } }))).code,
      'INVALID_ARGUMENT',
    )
  })
})

describe('bundles of foreign trust domains over the API', () => {
  test('SRV-API-064 SRV-API-065 SRV-WEAK-027 counting counts our own, listing leaves it out and fills its pages', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    for (const trustDomain of ['a.org', 'example.org', 'f.org', 'z.org']) {
      await api.house.store.bundles.set(newBundle({ trustDomain }))
    }
    assert.equal((await client.countBundles({})).count, 4)
    const all = await client.listFederatedBundles({})
    assert.deepEqual(
      [all.bundles.map(bundle => bundle.trustDomain), all.nextPageToken],
      [['a.org', 'f.org', 'z.org'], ''],
    )
    const pages: string[][] = []
    for (let pageToken = ''; ; ) {
      const page = await client.listFederatedBundles({ pageSize: 2, pageToken })
      if (page.nextPageToken === '') break
      pages.push(page.bundles.map(bundle => bundle.trustDomain))
      pageToken = page.nextPageToken
    }
    assert.deepEqual(pages, [['a.org', 'f.org'], ['z.org']])
    assert.equal((await rejection(client.listFederatedBundles({ pageSize: -1 }))).code, 'INVALID_ARGUMENT')
    assert.equal((await client.listFederatedBundles({ pageSize: 2 ** 31 - 1 })).bundles.length, 3)
  })

  test('SRV-API-066 SRV-API-067 SRV-API-068 SRV-API-069 created once, updated by mask, set at will, shown; never our own', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const codes = (response: { results: readonly { status?: types.Status | undefined }[] }) =>
      response.results.map(({ status }) => status?.code)
    const own = foreign({ trustDomain: 'example.org' })
    const broken = foreign({ trustDomain: 'no domain' })
    assert.deepEqual(
      codes(await client.batchCreateFederatedBundle({ bundle: [foreign(), foreign(), own, broken] })),
      [0, 6, 3, 3],
    )
    const shown = await client.getFederatedBundle({ trustDomain: 'other.org' })
    assert.deepEqual([shown.sequenceNumber, shown.refreshHint, shown.jwtAuthorities[0]?.expiresAt], [42n, 60n, 7n])
    const updated = await client.batchUpdateFederatedBundle({
      bundle: [
        foreign({ refreshHint: 5n, jwtAuthorities: [], sequenceNumber: 1n }),
        foreign({ trustDomain: 'none.org' }),
        own,
      ],
      inputMask: { refreshHint: true },
    })
    assert.deepEqual(codes(updated), [0, 5, 3])
    assert.deepEqual(updated.results[0]?.bundle, { ...shown, refreshHint: 5n })
    const set = await client.batchSetFederatedBundle({
      bundle: [foreign({ sequenceNumber: 3n, x509Authorities: [] }), foreign({ trustDomain: 'new.org' }), own],
      outputMask: { sequenceNumber: true },
    })
    assert.deepEqual(codes(set), [0, 0, 3])
    assert.deepEqual([set.results[0]?.bundle?.sequenceNumber, set.results[0]?.bundle?.refreshHint], [3n, 0n])
    const unknown = await rejection(client.getFederatedBundle({ trustDomain: 'none.org' }))
    assert.deepEqual([unknown.code, unknown.message], ['NOT_FOUND', 'bundle not found'])
    for (const trustDomain of ['example.org', '', 'x y']) {
      assert.equal((await rejection(client.getFederatedBundle({ trustDomain }))).code, 'INVALID_ARGUMENT')
    }
  })

  test('SRV-API-070 deletion restricts, dissociates or deletes', async () => {
    await using api = await openTestApi()
    const client = await local(api)
    const prepare = async (): Promise<void> => {
      await client.batchSetFederatedBundle({ bundle: [foreign()] })
      await api.house.store.entries.create([newEntry({ id: 'e', federatesWith: ['other.org'] })])
      await api.house.store.entries.update([{ id: 'e', fields: { federatesWith: ['other.org'] } }])
    }
    const remove = async (mode: number, ...trustDomains: string[]) =>
      (await client.batchDeleteFederatedBundle({ mode: mode as never, trustDomains })).results.map(
        ({ status }) => status?.code,
      )
    await prepare()
    assert.deepEqual(await remove(0, 'other.org', 'none.org', 'example.org', 'x y'), [9, 5, 3, 3])
    assert.deepEqual(await remove(2, 'other.org'), [0])
    assert.deepEqual(api.registry.entry('e')?.federatesWith, [])
    await prepare()
    assert.deepEqual(await remove(1, 'other.org'), [0])
    assert.equal(api.registry.entry('e'), undefined)
    assert.equal((await rejection(remove(3, 'other.org'))).code, 'INVALID_ARGUMENT')
  })

  test('SRV-API-012 ADV-21 for every mask a bundle has the masked fields with their own values, and no others', () => {
    const authority = { keyId: 'k', publicKey: spki, expiresAt: 5, tainted: true }
    const bundle = newBundle({
      x509Authorities: [{ der: certificate, tainted: true }],
      jwtAuthorities: [authority],
      witAuthorities: [authority],
      refreshHintSeconds: 6,
      sequenceNumber: 7n,
    })
    const names = types.BundleMaskSchema.fields.map(field => field.localName)
    const whole = bundleMessage(bundle, undefined) as unknown as Record<string, unknown>
    const empty = create(types.BundleSchema) as unknown as Record<string, unknown>
    fc.assert(
      fc.property(fc.subarray(names), chosen => {
        const mask = create(types.BundleMaskSchema, Object.fromEntries(chosen.map(name => [name, true])))
        const masked = bundleMessage(bundle, mask) as unknown as Record<string, unknown>
        assert.equal(masked.trustDomain, 'other.org')
        for (const name of names) {
          assert.deepEqual(masked[name], chosen.includes(name) ? whole[name] : empty[name], name)
        }
      }),
    )
  })
})
