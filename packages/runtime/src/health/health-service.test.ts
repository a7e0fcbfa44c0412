import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { health } from '@plastron/api'
import type { Call } from '../grpc/call.ts'
import { healthService } from './health-service.ts'

const call = {} as Call
const ask = (service: ReturnType<typeof healthService>, name = '') =>
  service.check?.(create(health.HealthCheckRequestSchema, { service: name }), call)
const { SERVING, NOT_SERVING } = health.HealthCheckResponse_ServingStatus

test('SRV-API-134 AGT-WL-019 SERVING when the work is done, NOT_SERVING when it is not or cannot be found out', async () => {
  assert.deepEqual(await ask(healthService(async () => true)), { status: SERVING })
  assert.deepEqual(await ask(healthService(async () => false)), { status: NOT_SERVING })
  assert.deepEqual(await ask(healthService(() => Promise.reject(new Error('away')))), { status: NOT_SERVING })
})

test('SRV-API-134 AGT-WL-019 a question about one service is refused, List and Watch are not offered', async () => {
  const service = healthService(async () => true)
  await assert.rejects(async () => ask(service, 'Bundle'), { code: 'INVALID_ARGUMENT' })
  assert.equal(service.list, undefined)
  assert.equal(service.watch, undefined)
})
