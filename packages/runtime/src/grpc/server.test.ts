import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { anyPack } from '@bufbuild/protobuf/wkt'
import { agentV1, bundleV1, entryV1, health, types, workload } from '@plastron/api'
import { listenUnix } from '../listeners/listen-unix.ts'
import type { Peer } from '../listeners/peer.ts'
import { tempFolder } from '../testing/temp-folder.ts'
import { type Call, callKey } from './call.ts'
import type { Channel } from './channel.ts'
import { connectUnix } from './connect-unix.ts'
import { GrpcError } from './grpc-error.ts'
import { GrpcServer, type GrpcServerOptions } from './server.ts'

const lock = { held: true }

/** A server on a Unix socket, and a channel to it. */
async function serve(options: GrpcServerOptions, setUp: (server: GrpcServer) => void) {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await tempFolder())
  const server = stack.use(new GrpcServer(options))
  setUp(server)
  const path = join(folder.path, 's')
  stack.use(
    await listenUnix({
      path,
      mode: 0o700,
      folderMode: 0o700,
      lock,
      onConnection: (socket, peer) => server.accept(socket, peer),
    }),
  )
  const channel: Channel = stack.use(connectUnix(path))
  const owned = stack.move()
  return { server, channel, path, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const rejection = async (promise: Promise<unknown>): Promise<GrpcError> => {
  const error = await promise.then(
    () => assert.fail('the call succeeded'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof GrpcError, String(error))
  return error
}

describe('unary calls', () => {
  test('request and response cross as messages, and the caller is known', async () => {
    let seen: Call | undefined
    await using house = await serve({}, server =>
      server.add(bundleV1.Bundle, {
        async getBundle(request, call) {
          seen = call
          assert.equal(request.outputMask?.jwtAuthorities, true)
          return { trustDomain: 'example.org', sequenceNumber: 7n }
        },
      }),
    )
    const bundle = await house.channel
      .client(bundleV1.Bundle)
      .getBundle({ outputMask: { jwtAuthorities: true } }, { headers: { 'x-one': '1' }, timeoutMs: 5000 })
    assert.equal(bundle.trustDomain, 'example.org')
    assert.equal(bundle.sequenceNumber, 7n)
    assert.deepEqual(seen?.header('x-one'), ['1'])
    assert.equal(seen?.path, '/spire.api.server.bundle.v1.Bundle/GetBundle')
    assert.ok(seen?.deadline && seen.deadline.getTime() > Date.now() - 10_000)
    assert.equal(seen?.peer.kind, 'unix')
    const peer = seen?.peer as Peer & { kind: 'unix' }
    assert.equal(peer.pid, process.pid)
    assert.equal(peer.uid, process.getuid?.())
    assert.equal(peer.process.isAlive(), true)
  })

  test('a GrpcError arrives with code, text and typed details', async () => {
    const details = create(types.PermissionDeniedDetailsSchema, {
      reason: types.PermissionDeniedDetails_Reason.AGENT_BANNED,
    })
    await using house = await serve({}, server =>
      server.add(agentV1.Agent, {
        async renewAgent() {
          throw new GrpcError('PERMISSION_DENIED', 'authorization denied – half: \ud800', {
            details: [anyPack(types.PermissionDeniedDetailsSchema, details)],
          })
        },
      }),
    )
    const error = await rejection(house.channel.client(agentV1.Agent).renewAgent({}))
    assert.equal(error.code, 'PERMISSION_DENIED')
    assert.equal(error.message, 'authorization denied – half: \ufffd')
    assert.equal(
      error.detail(types.PermissionDeniedDetailsSchema)?.reason,
      types.PermissionDeniedDetails_Reason.AGENT_BANNED,
    )
    assert.equal(error.detail(types.StatusSchema), undefined)
  })

  test('an error that nobody foresaw says nothing to the caller and is reported', async () => {
    const reported: unknown[] = []
    await using house = await serve({ onUnexpectedError: error => reported.push(error) }, server =>
      server.add(agentV1.Agent, {
        async renewAgent() {
          throw new Error('the password is hunter2')
        },
      }),
    )
    const error = await rejection(house.channel.client(agentV1.Agent).renewAgent({}))
    assert.equal(error.code, 'INTERNAL')
    assert.equal(error.message, 'internal error')
    assert.equal((reported[0] as Error).message, 'the password is hunter2')
  })

  test('a method without a handler and a service that was not added are unimplemented', async () => {
    await using house = await serve({}, server => server.add(agentV1.Agent, {}))
    assert.equal((await rejection(house.channel.client(agentV1.Agent).renewAgent({}))).code, 'UNIMPLEMENTED')
    assert.equal((await rejection(house.channel.client(health.Health).check({}))).code, 'UNIMPLEMENTED')
  })

  test('the deadline ends the handler and the call', async () => {
    const reasons: unknown[] = []
    await using house = await serve({}, server =>
      server.add(agentV1.Agent, {
        renewAgent: (_request, call) =>
          new Promise((_, reject) =>
            call.signal.addEventListener('abort', () => {
              reasons.push(call.signal.reason)
              reject(call.signal.reason)
            }),
          ),
      }),
    )
    const error = await rejection(house.channel.client(agentV1.Agent).renewAgent({}, { timeoutMs: 50 }))
    assert.equal(error.code, 'DEADLINE_EXCEEDED')
    while (reasons.length === 0) await new Promise(setImmediate)
    assert.ok(reasons[0] instanceof GrpcError)
  })

  test('an aborted call rejects with the reason of its signal, and its handler is told', async () => {
    const started = Promise.withResolvers<Call>()
    await using house = await serve({}, server =>
      server.add(agentV1.Agent, {
        renewAgent: (_request, call) => {
          started.resolve(call)
          return new Promise((_, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason)))
        },
      }),
    )
    const controller = new AbortController()
    const answer = house.channel.client(agentV1.Agent).renewAgent({}, { signal: controller.signal })
    answer.catch(() => undefined)
    const call = await started.promise
    const reason = new Error('enough')
    controller.abort(reason)
    await assert.rejects(answer, reason)
    if (!call.signal.aborted) await once(call.signal, 'abort')
    assert.equal(call.endReason?.code, 'CANCELLED')
  })
})

describe('streams', () => {
  test('responses come in order, and leaving the loop ends the handler', async () => {
    const ended = Promise.withResolvers<void>()
    await using house = await serve({}, server =>
      server.add(workload.SpiffeWorkloadAPI, {
        async *fetchX509Bundles() {
          try {
            for (let i = 0; ; i++) yield { crl: [Uint8Array.of(i)] }
          } finally {
            ended.resolve()
          }
        },
      }),
    )
    const seen: number[] = []
    for await (const response of house.channel.client(workload.SpiffeWorkloadAPI).fetchX509Bundles({})) {
      seen.push(response.crl[0]?.[0] ?? -1)
      if (seen.length === 5) break
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4])
    await ended.promise
  })

  test('a reader that stops holds up the handler instead of filling memory', async () => {
    let sent = 0
    await using house = await serve({}, server =>
      server.add(workload.SpiffeWorkloadAPI, {
        async *fetchX509Bundles() {
          const crl = [new Uint8Array(1 << 20)]
          for (;;) {
            sent += 1
            yield { crl }
          }
        },
      }),
    )
    const responses = house.channel.client(workload.SpiffeWorkloadAPI).fetchX509Bundles({})[Symbol.asyncIterator]()
    await responses.next()
    let before = -1
    while (before !== sent) {
      before = sent
      for (let i = 0; i < 50; i++) await new Promise(setImmediate)
    }
    assert.ok(sent < 40, `${sent} MiB were sent to a reader that took one`)
    await responses.return?.()
  })

  test('both directions: each answer after its question, and a status at the end', async () => {
    await using house = await serve({}, server =>
      server.add(agentV1.Agent, {
        async *attestAgent(requests) {
          for await (const request of requests) {
            if (request.step.case === 'params') yield { step: { case: 'challenge', value: Uint8Array.of(1) } }
            else throw new GrpcError('INVALID_ARGUMENT', 'wrong answer')
          }
        },
      }),
    )
    const { promise, resolve } = Promise.withResolvers<void>()
    async function* requests() {
      yield { step: { case: 'params' as const, value: {} } }
      await promise
      yield { step: { case: 'challengeResponse' as const, value: Uint8Array.of(2) } }
    }
    const responses = house.channel.client(agentV1.Agent).attestAgent(requests())[Symbol.asyncIterator]()
    const first = await responses.next()
    assert.equal(first.value?.step.case, 'challenge')
    resolve()
    const error = await rejection(responses.next())
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.equal(error.message, 'wrong answer')
  })

  test('a handler may answer and end before it has read every request', async () => {
    await using house = await serve({}, server =>
      server.add(entryV1.Entry, {
        async *syncAuthorizedEntries(requests) {
          for await (const request of requests) {
            yield { entryRevisions: [{ id: request.ids[0] ?? '' }] }
            return
          }
        },
      }),
    )
    async function* requests() {
      for (;;) {
        yield { ids: ['a'] }
        await new Promise(setImmediate)
      }
    }
    const ids: string[] = []
    for await (const response of house.channel.client(entryV1.Entry).syncAuthorizedEntries(requests()))
      ids.push(response.entryRevisions[0]?.id ?? '')
    assert.deepEqual(ids, ['a'])
  })
})

describe('interceptors', () => {
  test('SRV-API-010 stages run in order, and a stage that refuses runs the end of those before it', async () => {
    const log: string[] = []
    const who = callKey<string>('who')
    await using house = await serve(
      {
        interceptors: [
          async (call, next) => {
            log.push('logger')
            call.set(who, 'someone')
            try {
              await next()
            } finally {
              log.push('logger end')
            }
          },
          async (_call, next) => {
            log.push('metrics')
            await next().finally(() => log.push('metrics end'))
          },
          async (call, next) => {
            log.push(`authorization of ${call.get(who)}`)
            if (call.method.name === 'DeleteAgent') throw new GrpcError('PERMISSION_DENIED', 'no')
            await next()
            log.push('authorization end')
          },
        ],
      },
      server =>
        server.add(agentV1.Agent, {
          async countAgents() {
            log.push('handler')
            return { count: 3 }
          },
          async deleteAgent() {
            log.push('handler')
            return {}
          },
        }),
    )
    const agents = house.channel.client(agentV1.Agent)
    assert.equal((await agents.countAgents({})).count, 3)
    assert.deepEqual(log.splice(0), [
      'logger',
      'metrics',
      'authorization of someone',
      'handler',
      'authorization end',
      'metrics end',
      'logger end',
    ])
    assert.equal((await rejection(agents.deleteAgent({}))).code, 'PERMISSION_DENIED')
    assert.deepEqual(log, ['logger', 'metrics', 'authorization of someone', 'metrics end', 'logger end'])
  })
})

describe('connections', () => {
  test('SRV-RUN-009 one that has reached its age takes no new calls, while a stream on it goes on', async () => {
    await using house = await serve({ safeguards: { maxConnectionAgeMs: 50 } }, server =>
      server
        .add(workload.SpiffeWorkloadAPI, {
          async *fetchX509Bundles(_request, call) {
            yield {}
            await once(call.signal, 'abort')
          },
        })
        .add(agentV1.Agent, { countAgents: async () => ({ count: 1 }) }),
    )
    const stream = house.channel.client(workload.SpiffeWorkloadAPI).fetchX509Bundles({})[Symbol.asyncIterator]()
    await stream.next()
    assert.equal(house.server.connectionCount, 1)
    while (house.server.connectionCount < 2) {
      assert.equal((await house.channel.client(agentV1.Agent).countAgents({})).count, 1)
      await new Promise(setImmediate)
    }
    assert.equal(house.server.callCount, 1)
    await stream.return?.()
  })

  test('a caller that dies in the middle of a stream ends its handler', async () => {
    const ended = Promise.withResolvers<GrpcError | undefined>()
    await using house = await serve({}, server =>
      server.add(workload.SpiffeWorkloadAPI, {
        async *fetchX509Bundles(_request, call) {
          yield {}
          await once(call.signal, 'abort')
          ended.resolve(call.endReason)
        },
      }),
    )
    const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
    const code = `
      import { workload } from '@plastron/api'
      import { connectUnix } from ${module('./connect-unix.ts')}
      const client = connectUnix(process.argv[1]).client(workload.SpiffeWorkloadAPI)
      for await (const _ of client.fetchX509Bundles({})) console.log('streaming')`
    const cwd = new URL('.', import.meta.url)
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, house.path], { cwd })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    assert.equal((await ended.promise)?.code, 'CANCELLED')
    while (house.server.connectionCount > 0) await new Promise(setImmediate)
  })
})

describe('stopping', () => {
  test('streams end at once with UNAVAILABLE, single calls finish within the grace', async () => {
    const release = Promise.withResolvers<void>()
    const started = Promise.withResolvers<void>()
    await using house = await serve({}, server =>
      server
        .add(workload.SpiffeWorkloadAPI, {
          async *fetchX509Bundles(_request, call) {
            yield {}
            await once(call.signal, 'abort')
          },
        })
        .add(agentV1.Agent, {
          async countAgents() {
            started.resolve()
            await release.promise
            return { count: 1 }
          },
        }),
    )
    const stream = house.channel.client(workload.SpiffeWorkloadAPI).fetchX509Bundles({})[Symbol.asyncIterator]()
    await stream.next()
    const answer = house.channel.client(agentV1.Agent).countAgents({})
    await started.promise
    const grace = new AbortController()
    const stopped = house.server.stop(grace.signal)
    assert.equal((await rejection(stream.next())).code, 'UNAVAILABLE')
    release.resolve()
    assert.equal((await answer).count, 1)
    await stopped
    assert.equal(house.server.connectionCount, 0)
  })

  test('without grace every connection is gone when stop resolves', async () => {
    const started = Promise.withResolvers<void>()
    await using house = await serve({}, server =>
      server.add(agentV1.Agent, {
        countAgents: async (_request, call) => {
          started.resolve()
          await once(call.signal, 'abort')
          throw call.signal.reason
        },
      }),
    )
    const answer = rejection(house.channel.client(agentV1.Agent).countAgents({}))
    const idle = connect(house.path)
    await once(idle, 'connect')
    await started.promise
    await house.server[Symbol.asyncDispose]()
    assert.equal((await answer).code, 'UNAVAILABLE')
    assert.equal(house.server.connectionCount, 0)
    assert.equal(house.server.callCount, 0)
    idle.destroy()
  })
})
