import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSpiffeError, SpiffeError } from './spiffe-error.ts'
import { GrpcStatus } from './workload/grpc/status.ts'
import { WorkloadApiError } from './workload/workload-api-error.ts'

test('the reference page of error codes has every code of this package and no other', () => {
  const source = readFileSync(join(import.meta.dirname, 'spiffe-error.ts'), 'utf8')
  const codes = source.match(/'ERR_[A-Z0-9_]+'/g)?.map(code => code.slice(1, -1)) ?? []
  const page = readFileSync(join(import.meta.dirname, '../../../docs/error-codes.md'), 'utf8')
  const section = page.split(/^## /m).find(part => part.startsWith('spiffe\n')) ?? ''
  const listed = section.match(/^\| `ERR_[A-Z0-9_]+`/gm)?.map(line => line.slice(3, -1)) ?? []
  assert.ok(codes.length > 50)
  assert.deepEqual(listed, codes)
})

test('errors are told apart by class and code', () => {
  const error = new SpiffeError('ERR_ID_EMPTY', 'x', { cause: 'y' })
  const answers = [isSpiffeError(error), isSpiffeError(error, 'ERR_ID_EMPTY'), isSpiffeError(error, 'ERR_ID_SCHEME')]
  assert.deepEqual(answers, [true, true, false])
  assert.ok(!isSpiffeError(new Error('x')) && !isSpiffeError(undefined))
  assert.equal(error.cause, 'y')
  const failed = new WorkloadApiError('ERR_WORKLOAD_STATUS', GrpcStatus.PERMISSION_DENIED, 'no identity issued')
  assert.ok(isSpiffeError(failed, 'ERR_WORKLOAD_STATUS'))
  assert.equal(failed.message, 'Workload API: PERMISSION_DENIED: no identity issued')
  assert.equal(failed.statusMessage, 'no identity issued')
})
