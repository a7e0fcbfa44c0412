import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OpenStreams } from './open-streams.ts'

async function* forever() {
  for (let number = 0; ; number++) yield number
}

test('a caller has a few streams open, others have theirs, and each place is given back however a stream ends', async () => {
  const open = new OpenStreams(2)
  const one = open.within('a', forever)
  const two = open.within('a', async function* () {
    yield 1
    throw new Error('broken')
  })
  assert.equal((await one.next()).value, 0)
  assert.equal((await two.next()).value, 1)
  let begun = false
  const third = open.within('a', () => {
    begun = true
    return forever()
  })
  await assert.rejects(third.next(), { code: 'RESOURCE_EXHAUSTED', message: 'more than 2 streams are open' })
  assert.equal(begun, false)
  const other = open.within('b', forever)
  assert.equal((await other.next()).value, 0)
  assert.equal(open.callerCount, 2)
  await assert.rejects(two.next(), { message: 'broken' })
  const next = open.within('a', forever)
  assert.equal((await next.next()).value, 0)
  for (const stream of [one, next, other]) await stream.return(undefined)
  // One that was never read was never counted.
  await open.within('c', forever).return(undefined)
  assert.equal(open.callerCount, 0)
})
