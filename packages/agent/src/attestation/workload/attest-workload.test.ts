import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FakeClock } from '@plastron/runtime/testing'
import { selectorKey } from '../../entries/selector.ts'
import type { WorkloadAttestor } from '../../plugins/workload-attestor/workload-attestor.ts'
import { attestWorkload, attestWorkloadNow } from './attest-workload.ts'

function attestor(name: string, attest: WorkloadAttestor['attest']): WorkloadAttestor {
  return { name, attest, async [Symbol.asyncDispose]() {} }
}

const finds = (name: string, ...values: string[]) =>
  attestor(name, async () => values.map(value => ({ type: name, value })))
const fails = (name: string) =>
  attestor(name, async () => {
    throw new Error(`${name} is broken`)
  })

function house(...attestors: WorkloadAttestor[]) {
  const clock = new FakeClock()
  const failures: string[] = []
  const controller = new AbortController()
  const ask = async () => {
    const found = await attestWorkload(1, {
      attestors,
      clock,
      onFailure: name => failures.push(name),
      signal: controller.signal,
    })
    return found.map(selectorKey)
  }
  return { clock, failures, controller, ask }
}

describe('workload attestation', () => {
  test('AGT-ATT-005 selectors of all attestors are put together, each once', async () => {
    const h = house(finds('a', '1', '2'), finds('b', '1'), finds('a', '2'))
    assert.deepEqual(await h.ask(), ['a:1', 'a:2', 'b:1'])
  })

  test('AGT-ATT-005 all attestors run at once', async () => {
    const both = Promise.withResolvers<void>()
    let running = 0
    const meet = (name: string) =>
      attestor(name, async () => {
        running += 1
        if (running === 2) both.resolve()
        await both.promise
        return []
      })
    await house(meet('a'), meet('b')).ask()
  })

  test('AGT-ATT-005 one that fails is told about and left out', async () => {
    const h = house(fails('a'), finds('b', '1'))
    assert.deepEqual(await h.ask(), ['b:1'])
    assert.deepEqual(h.failures, ['a'])
  })

  test('ADV-27 when all fail that is an error that names each, never an empty answer', async () => {
    const h = house(fails('a'), fails('b'))
    await assert.rejects(h.ask(), {
      code: 'ERR_AGENT_WORKLOAD_ATTESTATION',
      message: 'every workload attestor failed: a: a is broken; b: b is broken',
    })
    await assert.rejects(house(fails('a')).ask(), { code: 'ERR_AGENT_WORKLOAD_ATTESTATION' })
  })

  test('an attestor that throws before it waits is a failed one', async () => {
    const h = house(
      attestor('a', () => {
        throw new Error('at once')
      }),
      finds('b'),
    )
    assert.deepEqual(await h.ask(), [])
    assert.deepEqual(h.failures, ['a'])
  })

  test('A3 one that hangs is given up after five seconds, and told', async () => {
    let told: AbortSignal | undefined
    const h = house(
      attestor('a', (_pid, signal) => {
        told = signal
        return new Promise(() => undefined)
      }),
      finds('b', '1'),
    )
    const answer = h.ask()
    await h.clock.untilSleeping(1)
    await h.clock.advance(4999)
    assert.equal(told?.aborted, false)
    await h.clock.advance(1)
    assert.deepEqual(await answer, ['b:1'])
    assert.equal(told?.aborted, true)
    assert.deepEqual(h.failures, ['a'])
  })

  test('A3 one that finds ten thousand selectors is a failed one', async () => {
    const h = house(finds('a', ...Array.from({ length: 10_000 }, (_, index) => `${index}`)), finds('b', '1'))
    assert.deepEqual(await h.ask(), ['b:1'])
    assert.deepEqual(h.failures, ['a'])
  })

  test('AGT-ATT-006 a caller that goes ends the attestation', async () => {
    const h = house(attestor('a', () => new Promise(() => undefined)))
    const answer = h.ask()
    h.controller.abort(new Error('the caller has gone'))
    await assert.rejects(answer, /the caller has gone/)
  })
})

describe('workload attestation at once', () => {
  const process = { pid: 1, owner: () => ({ uid: 1, gid: 1, supplementaryGids: [] }) }
  const knows = (name: string, attestNow: NonNullable<WorkloadAttestor['attestNow']>): WorkloadAttestor => ({
    ...fails(name),
    attestNow,
  })
  const list = (...values: string[]) => values.map(value => ({ type: 't', value }))
  const ask = (...attestors: WorkloadAttestor[]) => attestWorkloadNow(process, attestors)?.map(selectorKey)

  test('AGT-ATT-005 selectors of all attestors are put together, each once', () => {
    const one = knows('a', () => list('1', '2', '1'))
    assert.deepEqual(ask(one), ['t:1', 't:2'])
    assert.deepEqual(
      ask(
        one,
        knows('b', () => list('2', '3')),
      ),
      ['t:1', 't:2', 't:3'],
    )
  })

  test('the same findings of one attestor are the same list', () => {
    const found = list('1', '1')
    const one = knows('a', () => found)
    assert.equal(attestWorkloadNow(process, [one]), attestWorkloadNow(process, [one]))
  })

  test('ADV-27 A3 one that cannot say, fails or says too much leaves all to be asked', () => {
    const good = knows('a', () => list('1'))
    assert.equal(
      ask(
        good,
        knows('b', () => undefined),
      ),
      undefined,
    )
    assert.equal(ask(good, finds('b', '1')), undefined)
    assert.equal(
      ask(
        good,
        knows('b', () => {
          throw new Error('broken')
        }),
      ),
      undefined,
    )
    const many = list(...Array.from({ length: 1001 }, (_, index) => `${index}`))
    assert.equal(
      ask(
        good,
        knows('b', () => many),
      ),
      undefined,
    )
    assert.equal(ask(), undefined)
  })
})
