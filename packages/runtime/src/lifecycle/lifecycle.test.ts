import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { FakeClock } from '../testing/fake-clock.ts'
import { TaskGroup } from './task-group.ts'
import { untilAborted } from './until-aborted.ts'
import { withDeadline } from './with-deadline.ts'

describe('task group', () => {
  test('the first failure cancels the others, everyone is awaited, and it is the one reported', async () => {
    const group = new TaskGroup()
    const ended: string[] = []
    group.start('slow to stop', async signal => {
      await once(signal, 'abort')
      await new Promise(setImmediate)
      ended.push('slow to stop')
    })
    group.start('fails late', async signal => {
      await once(signal, 'abort')
      throw new Error('second')
    })
    group.start('fails', async () => {
      throw new Error('first')
    })
    await assert.rejects(group.wait(), {
      code: 'ERR_TASK_FAILED',
      task: 'fails',
      message: 'task "fails" failed: first',
    })
    assert.deepEqual(ended, ['slow to stop'])
    assert.deepEqual(group.running, [])
  })

  test('a task that ends by itself leaves the others running', async () => {
    const group = new TaskGroup()
    group.start('short', () => undefined)
    group.start('long', signal => once(signal, 'abort').then(() => undefined))
    await new Promise(setImmediate)
    assert.deepEqual(group.running, ['long'])
    assert.equal(group.signal.aborted, false)
    group.cancel()
    await group.wait()
  })

  test('what a task throws because it was cancelled is no failure', async () => {
    const outer = new AbortController()
    const group = new TaskGroup(outer.signal)
    group.start('waits', signal => untilAborted(new Promise<void>(() => undefined), signal))
    outer.abort(new Error('shutting down'))
    await group.wait()
  })

  test('tasks started while the group ends are awaited too', async () => {
    const group = new TaskGroup()
    const log: string[] = []
    group.start('parent', async signal => {
      await once(signal, 'abort')
      group.start('child', async () => {
        await new Promise(setImmediate)
        log.push('child')
      })
    })
    await new Promise(setImmediate)
    await group[Symbol.asyncDispose]()
    assert.deepEqual(log, ['child'])
  })

  test('a group under an aborted signal is cancelled from the start', async () => {
    const group = new TaskGroup(AbortSignal.abort())
    let seen = false
    group.start('late', signal => {
      seen = signal.aborted
    })
    await group.wait()
    assert.equal(seen, true)
  })
})

describe('deadlines', () => {
  test('work that is in time returns, and leaves no timer', async () => {
    const clock = new FakeClock()
    assert.equal(await withDeadline(clock, 1000, 'work', async () => 7), 7)
    await new Promise(setImmediate)
    assert.equal(clock.sleeping, 0)
  })

  test('work that is late is told and not waited for', async () => {
    const clock = new FakeClock()
    let told: unknown
    const late = withDeadline(clock, 1000, 'reading the bundle', signal => {
      signal.addEventListener('abort', () => {
        told = signal.reason
      })
      return new Promise(() => undefined)
    })
    const rejected = assert.rejects(late, {
      code: 'ERR_DEADLINE',
      message: 'reading the bundle took longer than 1000 ms',
    })
    await clock.untilSleeping(1)
    await clock.advance(1000)
    await rejected
    assert.equal((told as { code: string }).code, 'ERR_DEADLINE')
  })

  test('the outer signal ends it with its own reason', async () => {
    const clock = new FakeClock()
    const outer = new AbortController()
    const work = withDeadline(clock, 1000, 'work', () => new Promise(() => undefined), outer.signal)
    const reason = new Error('stop')
    outer.abort(reason)
    await assert.rejects(work, reason)
    await assert.rejects(
      withDeadline(clock, 1000, 'work', async () => 1, outer.signal),
      reason,
    )
    assert.equal(clock.sleeping, 0)
  })

  test('untilAborted leaves no listener behind', async () => {
    const controller = new AbortController()
    let added = 0
    let removed = 0
    const { signal } = controller
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      added += 1
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      removed += 1
      remove(...args)
    }
    assert.equal(await untilAborted(Promise.resolve(1), signal), 1)
    await assert.rejects(untilAborted(Promise.reject(new Error('x')), signal), /x/)
    await new Promise(setImmediate)
    assert.equal(added, 2)
    assert.equal(removed, 2)
  })
})
