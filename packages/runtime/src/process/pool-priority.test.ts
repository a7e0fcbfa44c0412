import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

const program = `
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { lowerPoolPriority } from ${JSON.stringify(new URL('pool-priority.ts', import.meta.url).href)}
const own = getPriority()
await lowerPoolPriority()
const tasks = readdirSync('/proc/self/task')
console.log(JSON.stringify(tasks.map(task => ({
  isMain: Number(task) === process.pid,
  name: readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim(),
  lower: getPriority(Number(task)) - own,
}))))
`

test('the threads of the pool come after all others, which keep their priority', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '3' },
  })
  const threads = JSON.parse(stdout) as { isMain: boolean; name: string; lower: number }[]
  const pool = threads.filter(({ name }) => name === 'libuv-worker')
  assert.deepEqual(
    pool.map(({ lower }) => lower),
    [4, 4, 4],
  )
  const others = threads.filter(({ name }) => name !== 'libuv-worker')
  assert.ok(others.some(({ isMain }) => isMain))
  assert.deepEqual([...new Set(others.map(({ lower }) => lower))], [0])
})
