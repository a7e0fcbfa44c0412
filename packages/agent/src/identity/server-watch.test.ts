import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { GrpcError } from '@plastron/runtime'
import { FakeClock, recordingLogger } from '@plastron/runtime/testing'
import { TrustDomain } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import { bundleMessage, entryMessage, FakeServer } from '../testing/fake-server.ts'
import { eventually } from '../testing/test-agent.ts'
import { EntrySync } from '../upstream/entry-sync.ts'
import { removalOf } from '../upstream/removal.ts'
import { ServerConnection } from '../upstream/server-connection.ts'
import { ServerTime } from '../upstream/server-time.ts'
import { IdentityStore } from './identity-store.ts'
import { ServerPoll } from './server-poll.ts'
import { ServerSync } from './server-sync.ts'
import { ServerWatch } from './server-watch.ts'

const td = TrustDomain.parse('example.org')

/** Passes bytes between agent and server until it falls silent, as a machine does that loses its power. */
class HushedRelay implements AsyncDisposable {
  readonly #listener: Server
  readonly #sockets = new Set<Socket>()
  #target = 0

  private constructor(listener: Server) {
    this.#listener = listener
    listener.on('connection', near => {
      const far = connect(this.#target, '127.0.0.1')
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => undefined)
        from.pipe(to)
      }
    })
  }

  static async start(): Promise<HushedRelay> {
    const listener = createServer()
    const relay = new HushedRelay(listener)
    await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
    return relay
  }

  to(port: number): number {
    this.#target = port
    return (this.#listener.address() as AddressInfo).port
  }

  /** Nothing comes through any more, on connections that are open and on new ones. */
  hush(): void {
    this.#target = 1
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>(resolve => this.#listener.close(() => resolve()))
  }
}

/** A server that pushes unless told otherwise, and what an agent follows it with. */
async function house({
  pushes = true,
  random = 0.5,
  keepaliveMs = 24_000,
  through,
}: {
  readonly pushes?: boolean
  readonly random?: number
  readonly keepaliveMs?: number
  readonly through?: HushedRelay
} = {}) {
  await using owned = new AsyncDisposableStack()
  const clock = new FakeClock(new Date())
  const server = owned.use(await FakeServer.start({ clock, pushes }))
  const { chain, key } = await server.authority.x509Chain(server.authority.id('/spire/agent/test'))
  const connection = owned.use(
    new ServerConnection({
      host: '127.0.0.1',
      port: through?.to(server.port) ?? server.port,
      trustDomain: td,
      identity: () => ({ key, chain: chain.map(({ der }) => der) }),
      bundle: () => server.authority.bundle(),
      now: () => clock.now(),
      keepaliveMs,
      keepaliveTimeoutMs: 50,
    }),
  )
  const store = new IdentityStore(td, undefined)
  const log = recordingLogger()
  const malformed: string[] = []
  const errors: unknown[] = []
  const common = { store, connection: () => connection, clock, log, onTrust: async () => undefined }
  const onMalformed = (error: Error) => malformed.push(error.message)
  const watch = new ServerWatch({
    ...common,
    time: new ServerTime(clock, () => undefined),
    random: () => random,
    version: '0.0.0-test',
    onMalformed,
  })
  const entries = new EntrySync({ client: () => connection.entry, trustDomain: td, useSync: true, onMalformed })
  const sync = new ServerSync({
    ...common,
    watch,
    poll: new ServerPoll({ ...common, entries }),
    random: () => random,
    intervalMs: 3_600_000,
    isEmpty: () => false,
    onServerError: async error => {
      errors.push(error)
      if (error instanceof GrpcError && error.code === 'UNAVAILABLE') connection.reconnect()
    },
  })
  const stop = new AbortController()
  let running: Promise<void> | undefined
  owned.defer(async () => {
    stop.abort()
    await running
  })
  const everything = owned.move()
  return {
    clock,
    server,
    connection,
    store,
    watch,
    sync,
    errors,
    malformed,
    stop,
    ids: () => [...store.entries.keys()].sort(),
    start() {
      running = sync.run(stop.signal)
    },
    last: () => server.sync.watches.at(-1)!,
    [Symbol.asyncDispose]: () => everything.disposeAsync(),
  }
}

describe('what the server pushes', () => {
  test('a snapshot, then deltas, without polls', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/one'), entryMessage('e2', '/two')]
    h.start()
    await eventually(() => h.watch.isLive)
    assert.deepEqual(h.ids(), ['e1', 'e2'])
    assert.equal(h.last().request.position, undefined)
    assert.equal(h.last().request.agent?.version, '0.0.0-test')
    const kept = h.store.entries.get('e2')
    const other = await TestAuthority.create({ trustDomain: 'other.org' })
    h.server.sync.tell({
      entries: [entryMessage('e2', '/two') as never, entryMessage('e3', '/three') as never],
      removedEntryIds: ['e1', 'never-there'],
      bundles: [bundleMessage(other) as never],
    })
    await eventually(() => h.watch.position?.number === 2n)
    assert.deepEqual(h.ids(), ['e2', 'e3'])
    assert.equal(h.store.entries.get('e2'), kept)
    assert.deepEqual([...h.store.federated.keys()], ['other.org'])
    h.server.sync.tell({ removedBundles: ['other.org'] })
    await eventually(() => h.watch.position?.number === 3n)
    assert.equal(h.store.federated.size, 0)
    assert.equal(h.server.count('SyncAuthorizedEntries') + h.server.count('GetBundle'), 0)
  })

  test('nothing of a delta is applied before its last part', async () => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    h.last().send({ case: 'delta', value: { more: true, entries: [entryMessage('e1', '/one')] } } as never)
    h.last().send({ case: 'delta', value: { more: true, entries: [entryMessage('e2', '/two')] } } as never)
    await h.connection.bundle.getBundle({})
    assert.deepEqual(h.ids(), [])
    h.server.sync.tell({ removedEntryIds: ['e1'] })
    await eventually(() => h.watch.position?.number === 2n)
    assert.deepEqual(h.ids(), ['e2'])
  })

  test('a snapshot that is cut is void, and the next stream begins where the agent is', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/one')]
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.entries = []
    h.last().send(...h.server.sync.snapshot(5).slice(0, 2))
    h.last().end()
    await h.clock.untilSleeping(1)
    assert.deepEqual(h.ids(), ['e1'])
    h.server.entries = [entryMessage('e1', '/one')]
    await h.clock.advance(500)
    await eventually(() => h.server.sync.watches.length === 2 && h.watch.isLive)
    assert.equal(h.last().request.position?.number, 1n)
    assert.deepEqual(h.ids(), ['e1'])
  })

  test('wrong counts, parts out of place and changes of another history end the stream and change nothing', async () => {
    const position = { historyId: new Uint8Array(16).fill(9), number: 5n }
    const wrong: Record<string, readonly object[]> = {
      'wrong counts': [
        { case: 'snapshotBegin', value: {} },
        { case: 'snapshotEnd', value: { position, entryCount: 1n } },
      ],
      'a part without beginning': [{ case: 'snapshotChunk', value: {} }],
      'a delta in a snapshot': [
        { case: 'snapshotBegin', value: {} },
        { case: 'delta', value: { position } },
      ],
      'another history': [{ case: 'delta', value: { position } }],
      'no position': [{ case: 'delta', value: {} }],
    }
    for (const [what, contents] of Object.entries(wrong)) {
      await using h = await house()
      h.server.entries = [entryMessage('e1', '/one')]
      h.start()
      await eventually(() => h.watch.isLive)
      h.last().send(...(contents as never[]))
      await eventually(() => h.errors.length === 1, what)
      assert.equal((h.errors[0] as { code?: string }).code, 'ERR_AGENT_SERVER_REPLY', what)
      assert.deepEqual(h.ids(), ['e1'], what)
    }
  })

  test('another history is taken up by its snapshot', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/one')]
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.sync.history.fill(8)
    h.server.sync.number = 0n
    h.server.entries = [entryMessage('e9', '/nine')]
    h.last().send(...h.server.sync.snapshot(2))
    await eventually(() => h.watch.position?.history.startsWith('08') === true)
    assert.deepEqual(h.ids(), ['e9'])
  })

  test('AGT-SYNC-007 what makes no sense is left out, also what took the place of something that did', async () => {
    await using h = await house()
    h.server.entries = [entryMessage('e1', '/one'), entryMessage('bad', '/x', { selectors: [] })]
    h.start()
    await eventually(() => h.watch.isLive)
    assert.deepEqual(h.ids(), ['e1'])
    h.server.sync.tell({
      entries: [entryMessage('e1', '/one', { selectors: [], revisionNumber: 1n }) as never],
      bundles: [{ trustDomain: 'No Domain' } as never],
    })
    await eventually(() => h.watch.position?.number === 2n)
    assert.deepEqual(h.ids(), [])
    assert.equal(h.malformed.length, 3)
  })
})

describe('the stream', () => {
  test('A1 a server that does not know it is polled; at the next connection it is tried again', async () => {
    await using h = await house({ pushes: false })
    h.server.entries = [entryMessage('e1', '/one')]
    h.start()
    await eventually(() => h.store.synced)
    assert.deepEqual(h.ids(), ['e1'])
    const tried = () => h.server.count('GetBundle')
    assert.equal(tried(), 1)
    await h.clock.untilSleeping(1)
    h.connection.reconnect()
    await h.clock.advance(3_600_000)
    // The poll's new connection is what makes the stream be tried; then polls go on.
    await eventually(() => tried() >= 2)
  })

  test('a server that is polled and in trouble is asked less and less often, also when each failure costs the connection', async () => {
    await using h = await house({ pushes: false })
    h.start()
    await eventually(() => h.store.synced)
    await h.clock.untilSleeping(1)
    Object.defineProperty(h.server, 'gate', {
      get: () => Promise.reject(new GrpcError('UNAVAILABLE', 'too much to do')),
    })
    await h.clock.advance(3_600_000)
    for (const pause of [850, 1275, 1913, 2869, 4303]) {
      const failed = h.errors.length + 1
      await eventually(() => h.errors.length === failed && h.clock.sleeping > 0)
      await h.clock.advance(pause - 2)
      assert.equal(h.clock.sleeping, 1, `the pause of ${pause} ms`)
      await h.clock.advance(4)
    }
  })

  test('a refusal is handed on with its reason', async () => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.refusal = 'AGENT_BANNED'
    h.last().end(new GrpcError('UNAVAILABLE', 'going'))
    await h.clock.untilSleeping(1)
    await h.clock.advance(500)
    await eventually(() => h.errors.length === 2)
    assert.equal(removalOf(h.errors[1]), 'banned')
  })

  test('pauses between attempts are drawn from the whole of a growing bound, which begins anew after a stream that lived', async () => {
    await using h = await house({ random: 0.75 })
    h.start()
    await eventually(() => h.watch.isLive)
    await h.clock.advance(20_000)
    h.server.sync.isManual = true
    for (const [index, pause] of [250, 500, 1000, 2000, 3750, 3750].entries()) {
      await eventually(() => h.server.count('Watch') === index + 1)
      h.last().end()
      await eventually(() => h.errors.length === index + 1)
      await h.clock.untilSleeping(1)
      await h.clock.advance(pause - 1)
      assert.equal(h.server.count('Watch'), index + 1)
      await h.clock.advance(1)
      await eventually(() => h.server.count('Watch') === index + 2, `attempt ${index}`)
    }
  })

  test('a server that answers nothing is given up after 30 s', async () => {
    await using h = await house()
    h.server.sync.isManual = true
    h.start()
    await eventually(() => h.server.sync.watches.length === 1)
    await h.clock.untilSleeping(1)
    await h.clock.advance(30_000)
    await eventually(() => h.errors.length === 1)
    assert.equal((h.errors[0] as GrpcError).code, 'UNAVAILABLE')
  })

  test('with another certificate the new stream speaks before the old one ends', async () => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.sync.isManual = true
    h.connection.reconnect()
    h.watch.takeOver()
    await eventually(() => h.server.sync.watches.length === 2)
    const [old, next] = h.server.sync.watches
    assert.equal(next!.request.position?.number, 1n)
    h.server.sync.number = 2n
    old!.send({
      case: 'delta',
      value: { entries: [entryMessage('e1', '/one')], position: h.server.sync.position },
    } as never)
    await eventually(() => h.store.entries.size === 1)
    assert.ok(old!.isOpen)
    // It tells what the old one told in the meantime: that is not gone back to.
    next!.send({ case: 'delta', value: { position: { historyId: h.server.sync.history, number: 1n } } } as never)
    await eventually(() => !old!.isOpen)
    assert.equal(h.watch.position?.number, 2n)
    assert.deepEqual(h.ids(), ['e1'])
    assert.ok(h.watch.isLive)
    assert.deepEqual(h.errors, [])
  })
})

describe('a poll that was begun while there was no stream', () => {
  test('does not take the place of what a stream has brought meanwhile', async () => {
    await using h = await house()
    const one = entryMessage('e1', '/one', { federatesWith: ['other.org'] })
    h.server.entries = [one]
    const held = Promise.withResolvers<void>()
    Object.defineProperty(h.server, 'gate', {
      get: () => (h.server.calls.at(-1) === 'GetFederatedBundle' ? held.promise : undefined),
    })
    const poll = h.sync.sync(new AbortController().signal)
    await eventually(() => h.server.count('GetFederatedBundle') === 1)
    h.server.entries = [one, entryMessage('e2', '/two')]
    h.start()
    await eventually(() => h.watch.isLive)
    assert.deepEqual(h.ids(), ['e1', 'e2'])
    held.resolve()
    await poll
    assert.deepEqual(h.ids(), ['e1', 'e2'])
  })
})

describe('a server that is dead', () => {
  test('is noticed by the answer to a PING that does not come', async () => {
    await using relay = await HushedRelay.start()
    await using h = await house({ keepaliveMs: 50, through: relay })
    h.start()
    await eventually(() => h.watch.isLive)
    relay.hush()
    await eventually(() => h.errors.length === 1, 'the end of the stream')
    assert.equal((h.errors[0] as GrpcError).code, 'UNAVAILABLE')
    assert.equal(h.watch.isLive, false)
  })
})

describe('a workload that nothing matches', () => {
  const { signal } = new AbortController()

  test('waits until the stream has come to the position of the server, ten times a second at most', async () => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.sync.isManual = true
    h.server.sync.number = 2n
    const one = () => h.sync.check(signal, signal)
    const first = one()
    await eventually(() => h.server.count('GetPosition') === 1)
    h.last().send({
      case: 'delta',
      value: { entries: [entryMessage('e1', '/one')], position: h.server.sync.position },
    } as never)
    await first
    assert.equal(h.server.count('GetPosition'), 1)
    assert.deepEqual(h.ids(), ['e1'])
    const second = Array.from({ length: 20 }, one)
    await h.clock.advance(99)
    assert.equal(h.server.count('GetPosition'), 1)
    await h.clock.advance(1)
    await eventually(() => h.server.count('GetPosition') === 2)
    h.last().send({ case: 'delta', value: { position: h.server.sync.position } } as never)
    await Promise.all(second)
    assert.equal(h.server.count('GetPosition'), 2)
  })

  test('is looked for anew when the stream did not come to a position in time', async () => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.sync.isManual = true
    // Of a server that the stream is not from, say.
    h.server.sync.number = 2n
    const first = h.sync.check(signal, signal)
    await eventually(() => h.server.count('GetPosition') === 1)
    await h.clock.advance(3000)
    await first
    await h.clock.advance(2000)
    const second = h.sync.check(signal, signal)
    await eventually(() => h.server.count('GetPosition') === 2, 'the second look')
    h.last().send({ case: 'delta', value: { position: h.server.sync.position } } as never)
    await second
  })

  test('leaves nothing at the signal of the agent, however many come', async t => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    const composed = t.mock.method(AbortSignal, 'any')
    const background = new AbortController()
    for (let count = 0; count < 3; count += 1) {
      const check = h.sync.check(signal, background.signal)
      await h.clock.advance(100)
      await check
    }
    assert.equal(composed.mock.callCount(), 0)
    assert.deepEqual(getEventListeners(background.signal, 'abort'), [])
  })

  test('that goes away meanwhile is told so, and not that it has no identity', async () => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.sync.isManual = true
    h.server.sync.number = 2n
    const caller = new AbortController()
    const check = h.sync.check(caller.signal, signal)
    await eventually(() => h.server.count('GetPosition') === 1)
    const gone = new Error('gone')
    caller.abort(gone)
    await assert.rejects(check, gone)
  })

  test('waits 3 s at most, and not at all without a server', async () => {
    await using h = await house()
    h.start()
    await eventually(() => h.watch.isLive)
    h.server.sync.isManual = true
    h.server.sync.number = 2n
    const check = h.sync.check(signal, signal)
    await eventually(() => h.server.count('GetPosition') === 1)
    await h.clock.advance(3000)
    await check
    h.last().end(new GrpcError('UNAVAILABLE', 'gone'))
    await eventually(() => h.errors.length === 1)
    await h.sync.check(signal, signal)
    assert.equal(h.server.count('GetPosition'), 1)
  })
})
