import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bundleV1, entryV1, type types } from '@plastron/api'
import { newBundle, newEntry } from '../datastore/test-datastore.ts'
import { agentId, collect, openTestApi, type TestApi } from './test-api.ts'

const mask = { spiffeId: true, selectors: true, hint: true, revisionNumber: true }

/** What an agent that polls is told, by each of the two methods. */
async function poll(api: TestApi, agent: Parameters<TestApi['client']>[1]): Promise<types.Entry[]> {
  const client = await api.client(entryV1.Entry, agent)
  const whole = (await client.getAuthorizedEntries({ outputMask: mask })).entries
  async function* requests() {
    yield { outputMask: mask }
  }
  const [first] = await collect(client.syncAuthorizedEntries(requests()))
  assert.deepEqual(first?.entries, whole)
  return whole
}

describe('agents that poll', () => {
  test('a poll asks the database nothing: it is answered without one', async () => {
    await using api = await openTestApi()
    const agent = await api.attest('a')
    await api.house.store.bundles.create(newBundle())
    await api.house.store.bundles.create(newBundle({ trustDomain: 'example.org' }))
    await api.house.store.entries.create([newEntry({ parentId: agentId('a') })])
    await poll(api, agent)
    await api.house.close()
    assert.equal((await poll(api, agent)).length, 1)
    const bundles = await api.client(bundleV1.Bundle, agent)
    assert.equal((await bundles.getBundle({})).trustDomain, 'example.org')
    assert.equal((await bundles.getFederatedBundle({ trustDomain: 'other.org' })).trustDomain, 'other.org')
  })

  test('what was told once is never told again after it changed, ended, was pruned or deleted', async () => {
    await using api = await openTestApi()
    const agent = await api.attest('a')
    const { entries, bundles } = api.house.store
    const entry = (id: string, more = {}) =>
      newEntry({ id, parentId: agentId('a'), spiffeId: `spiffe://example.org/${id}`, hint: 'old', ...more })
    await entries.create([
      entry('changed'),
      entry('deleted'),
      entry('ended', { expiresAt: api.house.now + 60 }),
      entry('kept'),
    ])
    const told = async (): Promise<string[]> =>
      (await poll(api, agent)).map(({ id, hint, revisionNumber }) => `${id} ${hint} ${revisionNumber}`).toSorted()
    assert.deepEqual(await told(), ['changed old 0', 'deleted old 0', 'ended old 0', 'kept old 0'])
    await entries.update([{ id: 'changed', fields: { hint: 'new' } }])
    await entries.delete(['deleted'])
    assert.deepEqual(await told(), ['changed new 1', 'ended old 0', 'kept old 0'])
    api.house.now += 61
    assert.deepEqual(await told(), ['changed new 1', 'kept old 0'])
    await entries.delete(['ended'])
    await entries.create([entry('ended', { hint: 'again' })])
    assert.deepEqual(await told(), ['changed new 1', 'ended again 0', 'kept old 0'])

    await bundles.create(newBundle({ trustDomain: 'example.org', refreshHintSeconds: 1 }))
    const client = await api.client(bundleV1.Bundle, agent)
    assert.equal((await client.getBundle({})).refreshHint, 1n)
    await bundles.update('example.org', { refreshHintSeconds: 2 })
    assert.equal((await client.getBundle({})).refreshHint, 2n)
  })
})
