import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { agentV1 } from '@plastron/api'
import { Pair, trustDomain } from '../support/pair.ts'

const path = '/spire/agent/join_token/token-1'
const id = { trustDomain: trustDomain.name, path }

/** An agent with a workload that holds its stream open. */
async function house() {
  await using owned = new AsyncDisposableStack()
  const pair = owned.use(await Pair.start())
  await pair.register('/web', path)
  const workload = await pair.workload('/web')
  let reason: unknown
  pair.agent.agent.ended.catch(error => {
    reason = error
  })
  const stored = async () => {
    const state = JSON.parse(await readFile(join(pair.agent.folder, 'plastron-agent.json'), 'utf8'))
    return state.content.svid as unknown
  }
  const everything = owned.move()
  return {
    pair,
    workload,
    stored,
    agents: pair.server.client(agentV1.Agent),
    reason: () => reason,
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  }
}

describe('an agent on push that is removed, at once and without a call of its own', () => {
  test('banned: it ends, its workloads lose their identities, its certificate is forgotten and is not taken back', async () => {
    await using h = await house()
    assert.notEqual(await h.stored(), null)
    await h.agents.banAgent({ id })
    await h.pair.until(() => h.reason() !== undefined, 'the end of the agent')
    assert.match(String(h.reason()), /the server has banned this agent/)
    await h.pair.until(() => h.workload.ended !== undefined, 'the end of the stream')
    assert.equal(h.workload.ended?.code, 'PERMISSION_DENIED')
    assert.equal(await h.stored(), null)
    assert.equal((await h.agents.getAgent({ id })).banned, true)
  })

  test('evicted, with a join token that is spent: it ends, and says why', async () => {
    await using h = await house()
    await h.agents.deleteAgent({ id })
    await h.pair.until(() => h.reason() !== undefined, 'the end of the agent')
    assert.match(
      String(h.reason()),
      /does not accept this agent any more, and attesting it anew failed.*spent once only/,
    )
    await h.pair.until(() => h.workload.ended !== undefined, 'the end of the stream')
    assert.equal(h.workload.ended?.code, 'PERMISSION_DENIED')
    assert.equal(await h.stored(), null)
    await assert.rejects(h.agents.getAgent({ id }), { code: 'NOT_FOUND' })
  })
})
