import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { agentV1 } from '@plastron/api'
import { Call, GrpcError, type Peer } from '@plastron/runtime'
import { FakeClock, recordingMetrics } from '@plastron/runtime/testing'
import { SpiffeId } from '@plastron/spiffe'
import { Admission, type AdmissionOptions } from './admission.ts'
import { claimOf, DOCUMENT_END_HEADER, type SigningClaim } from './signing-claim.ts'

const MINUTE = 60_000
const gone = new GrpcError('CANCELLED', 'gone')

/** An admission with one place, which is taken until `open()`; then work is done one by one, in the order of its turns. */
function house(options: Partial<AdmissionOptions> = {}) {
  const clock = new FakeClock()
  const metrics = recordingMetrics()
  const admission = new Admission({ clock, metrics, maxInFlight: 1, ...options })
  const done: string[] = []
  const gate = Promise.withResolvers<void>()
  const all: Promise<unknown>[] = Array.from({ length: options.maxInFlight ?? 1 }, () =>
    admission.run(claim('blocker'), () => gate.promise),
  )
  function claim(caller: string, leftMs?: number, more: Partial<SigningClaim> = {}): SigningClaim {
    const certificateEndsMs = leftMs === undefined ? undefined : clock.now().getTime() + leftMs
    return { caller, certificateEndsMs, documentEndsSeconds: undefined, endReason: () => undefined, ...more }
  }
  const ask = (name: string, of: SigningClaim): Promise<void> => {
    const run = admission.run(of, async () => {
      done.push(name)
    })
    all.push(run.catch(() => undefined))
    return run
  }
  const open = async (): Promise<string[]> => {
    gate.resolve()
    await Promise.all(all)
    return done
  }
  return { clock, metrics, admission, claim, ask, open, done }
}

const code = async (run: Promise<unknown>): Promise<string> => {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return error instanceof GrpcError ? error.code : String(error)
}

describe('admission of signing work', () => {
  test('work begins at once while there is room, and no more than that at a time', async () => {
    const { admission, claim, ask, open } = house({ maxInFlight: 3 })
    const waiting = Array.from({ length: 5 }, (_, index) => ask(`${index}`, claim('a', MINUTE)))
    assert.deepEqual([admission.inFlight, admission.waiting], [3, 5])
    await open()
    await Promise.all(waiting)
    assert.deepEqual([admission.inFlight, admission.waiting], [0, 0])
  })

  test('work that fails makes room too', async () => {
    const { claim } = house()
    const free = new Admission({ clock: new FakeClock(), metrics: recordingMetrics(), maxInFlight: 1 })
    const refused = free.run(claim('a'), () => Promise.reject(new Error('no')))
    const next = free.run(claim('b'), async () => 'done')
    await assert.rejects(refused, /no/)
    assert.equal(await next, 'done')
    assert.equal(free.waiting, 0)
  })

  test('the certificate that ends next comes first, and one turn in four goes to who had none for longest', async () => {
    const { claim, ask, open } = house()
    for (let i = 0; i < 6; i++) {
      void ask('day', claim(`d${i}`, 24 * 60 * MINUTE))
      void ask('soon', claim(`s${i}`, MINUTE / 2))
      void ask('hour', claim(`h${i}`, 50 * MINUTE))
    }
    const order = await open()
    assert.deepEqual(order.slice(0, 3), ['soon', 'soon', 'soon'])
    assert.notEqual(order[3], 'soon')
    assert.equal(order.slice(0, 8).filter(name => name === 'soon').length, 6)
    assert.ok(order.slice(0, 8).includes('day') && order.slice(0, 8).includes('hour'))
    assert.equal(order.at(-1), 'day')
  })

  test('callers of one class take turns: who asks for more waits for more', async () => {
    const { claim, ask, open } = house()
    for (let i = 0; i < 50; i++) void ask('greedy', claim('greedy', 30 * MINUTE))
    for (let i = 0; i < 5; i++) void ask(`modest ${i}`, claim(`modest ${i}`, 31 * MINUTE))
    const order = await open()
    assert.ok(order.lastIndexOf('modest 4') <= 6, order.slice(0, 10).join())
  })

  test('what a caller says of its documents orders its own work, and wins nothing over others', async () => {
    const { clock, claim, ask, open } = house()
    const now = clock.now().getTime() / 1000
    const liar = (name: string, documentEndsSeconds: number | undefined) =>
      void ask(name, claim('liar', 30 * MINUTE, { documentEndsSeconds }))
    liar('late', now + 60)
    liar('first of its kind', undefined)
    liar('soon 1', 1)
    liar('soon 2', 1)
    void ask('honest', claim('honest', 30 * MINUTE))
    assert.deepEqual(await open(), ['soon 1', 'honest', 'soon 2', 'first of its kind', 'late'])
  })

  test('callers without a certificate neither starve the others nor are starved', async () => {
    const { claim, ask, open } = house()
    for (let i = 0; i < 40; i++) void ask('stranger', claim(`192.0.2.${i}`))
    for (let i = 0; i < 40; i++) void ask('agent', claim(`agent ${i}`, 30 * MINUTE))
    const order = await open()
    const early = order.slice(0, 40)
    assert.equal(early.filter(name => name === 'agent').length, 30)
  })

  test('work whose caller has gone or whose deadline has passed is dropped undone', async () => {
    const { clock, claim, ask, open, done } = house()
    const deadline = clock.now().getTime() + 1000
    const late = ask('late', claim('a', MINUTE, { endReason: now => (now >= deadline ? gone : undefined) }))
    const kept = ask('kept', claim('a', MINUTE))
    await clock.advance(1000)
    await open()
    await kept
    assert.equal(await code(late), 'CANCELLED')
    assert.deepEqual(done, ['kept'])
  })

  test('what waits is bounded in all and for each caller, more closely when it is crowded; the refused are told and counted', async () => {
    const { admission, metrics, claim, ask, open } = house({
      maxWaiting: 100,
      maxWaitingOfCaller: 30,
      maxWaitingOfCallerWhenCrowded: 3,
    })
    const of = (caller: string, count: number): Promise<string>[] =>
      Array.from({ length: count }, () => code(ask(caller, claim(caller, MINUTE))))
    const greedy = of('greedy', 40)
    assert.equal(admission.waiting, 30)
    const second = of('second', 30)
    assert.equal(admission.waiting, 50)
    const others = Array.from({ length: 30 }, (_, index) => of(`o${index}`, 4))
    assert.equal(admission.waiting, 100)
    const refused = await code(ask('one more', claim('one more', MINUTE)))
    assert.equal(refused, 'RESOURCE_EXHAUSTED')
    await assert.rejects(
      ask('x', claim('x', MINUTE)),
      /too much signing work is waiting \(100 documents, 0 of this caller\)/,
    )
    await open()
    const results = await Promise.all([...greedy, ...second, ...others.flat()])
    assert.equal(results.filter(result => result === 'RESOURCE_EXHAUSTED').length, 190 - 100)
    assert.equal(admission.waiting, 0)
    const gauges = metrics.measurements.filter(({ key }) => key === 'issuance.waiting')
    assert.equal(Math.max(...gauges.map(({ value }) => value)), 100)
    assert.equal(gauges.at(-1)?.value, 0)
    assert.equal(metrics.measurements.filter(({ key }) => key === 'issuance.refused').length, 92)
  })

  test('who has gone makes room when there is none', async () => {
    const { clock, admission, claim, ask, open, done } = house({ maxWaiting: 10 })
    let left = false
    const waiting = Array.from({ length: 10 }, (_, index) =>
      code(ask('left', claim(`a${index}`, MINUTE, { endReason: () => (left ? gone : undefined) }))),
    )
    assert.equal(await code(ask('refused', claim('x', MINUTE))), 'RESOURCE_EXHAUSTED')
    left = true
    await clock.advance(1000)
    const run = ask('in their place', claim('x', MINUTE))
    assert.equal(admission.waiting, 1)
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set(['CANCELLED']))
    await open()
    await run
    assert.deepEqual(done, ['in their place'])
  })
})

describe('what a call claims', () => {
  const callOf = (peer: Peer, headers: Record<string, string> = {}, deadlineMs = Number.POSITIVE_INFINITY): Call => {
    const method = agentV1.Agent.method.renewAgent
    return new Call({ path: '/a/b', method, peer, request: undefined, headers, deadlineMs })
  }
  const peer: Peer = { kind: 'tls', address: '2001:db8::1', port: 1 }

  test('strangers are their network and have no say; the header of others is seconds or nothing', () => {
    const stranger = claimOf(callOf(peer, { [DOCUMENT_END_HEADER]: '0' }))
    assert.deepEqual([stranger.caller, stranger.certificateEndsMs], ['2001:db8:0:0::/64', undefined])
    assert.equal(stranger.documentEndsSeconds, undefined)
    const spiffeId = SpiffeId.parse('spiffe://example.org/spire/agent/a')
    const known: Peer = { ...peer, identity: { spiffeId, serialNumber: '1', notAfter: new Date(5000) } }
    const claim = claimOf(callOf(known, { [DOCUMENT_END_HEADER]: '1800000000' }))
    assert.deepEqual([claim.caller, claim.certificateEndsMs], [spiffeId.toString(), 5000])
    assert.equal(claim.documentEndsSeconds, 1_800_000_000)
    for (const text of ['', '-1', '1e9', '1.5', '9'.repeat(13), 'x']) {
      assert.equal(claimOf(callOf(known, { [DOCUMENT_END_HEADER]: text })).documentEndsSeconds, undefined, text)
    }
  })

  test('a claim ends with its call, for the reason of that, or with its deadline', () => {
    const call = callOf(peer)
    assert.equal(claimOf(call).endReason(1e15), undefined)
    call.abort(gone)
    assert.equal(claimOf(call).endReason(0), gone)
    const dated = claimOf(callOf(peer, {}, 5000))
    assert.deepEqual([dated.endReason(4999), dated.endReason(5000)?.code], [undefined, 'DEADLINE_EXCEEDED'])
  })
})
