import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findWorkloadApiAddress, formatWorkloadApiAddress, parseWorkloadApiAddress } from './address.ts'
import { WorkloadApiClient } from './client.ts'

const refused = { code: 'ERR_WORKLOAD_ADDRESS' }

test('STD-WE-008 STD-WE-009 LIB-WL-002 a unix address is an absolute path and nothing else', () => {
  for (const text of ['unix:///run/spire/api.sock', 'unix:/run/spire/api.sock', 'UNIX:///run/spire/api.sock']) {
    assert.deepEqual(parseWorkloadApiAddress(text), { kind: 'unix', path: '/run/spire/api.sock' })
  }
  assert.deepEqual(parseWorkloadApiAddress('unix:///run/a%20b'), { kind: 'unix', path: '/run/a b' })
  const bad = [
    'unix:',
    'unix://',
    'unix:///',
    'unix:run/x',
    'unix://host/run/x',
    'unix://user@/run',
    'unix:///x?a=b',
    'unix:///x?',
    'unix:///x#',
    'unix:///x%00',
    'unix:///x%2',
    'unix://%2frun',
  ]
  for (const text of bad) assert.throws(() => parseWorkloadApiAddress(text), refused, text)
})

test('STD-WE-008 STD-WE-010 LIB-WL-002 LIB-WL-003 a tcp address is an IP address and a port and nothing else', () => {
  assert.deepEqual(parseWorkloadApiAddress('tcp://127.0.0.1:8000'), { kind: 'tcp', host: '127.0.0.1', port: 8000 })
  assert.deepEqual(parseWorkloadApiAddress('tcp://[::1]:8000'), { kind: 'tcp', host: '::1', port: 8000 })
  const bad = [
    'tcp://',
    'tcp:127.0.0.1:80',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:',
    'tcp://127.0.0.1:0',
    'tcp://127.0.0.1:65536',
    'tcp://localhost:80',
    'tcp://127.0.0.1:80/',
    'tcp://127.0.0.1:80/x',
    'tcp://a@127.0.0.1:80',
    'tcp://127.0.0.1:80?x',
    'tcp://127.0.0.1:80#',
    'tcp://::1:80',
    'tcp://[127.0.0.1]:80',
    'tcp://[::1%25lo]:80',
    'tcp://1.2.3:80',
  ]
  for (const text of bad) assert.throws(() => parseWorkloadApiAddress(text), refused, text)
  for (const text of ['', 'x', '/run/x', 'http://127.0.0.1:80', 'npipe:x', 'abstract:x']) {
    assert.throws(() => parseWorkloadApiAddress(text), refused, text)
  }
})

test('addresses are written as they are read', () => {
  for (const address of [
    { kind: 'unix', path: '/a b/ü?#%' },
    { kind: 'tcp', host: '::1', port: 1 },
    { kind: 'tcp', host: '1.2.3.4', port: 65535 },
  ] as const) {
    assert.deepEqual(parseWorkloadApiAddress(formatWorkloadApiAddress(address)), address)
  }
})

test('STD-WE-007 LIB-WL-001 without an address the environment names it, read when the client is made', async () => {
  const env = { SPIFFE_ENDPOINT_SOCKET: 'unix:///run/env.sock' }
  assert.deepEqual(findWorkloadApiAddress(undefined, env), { kind: 'unix', path: '/run/env.sock' })
  assert.deepEqual(findWorkloadApiAddress('unix:///run/given.sock', env), { kind: 'unix', path: '/run/given.sock' })
  for (const empty of [{}, { SPIFFE_ENDPOINT_SOCKET: '' }, { SPIFFE_ENDPOINT_SOCKET: undefined }]) {
    assert.throws(() => new WorkloadApiClient({ env: empty }), {
      code: 'ERR_WORKLOAD_ADDRESS_MISSING',
      message: /workload endpoint socket address is not configured/,
    })
  }
  await using client = new WorkloadApiClient({ env })
  env.SPIFFE_ENDPOINT_SOCKET = 'unix:///run/changed.sock'
  assert.deepEqual(client.address, { kind: 'unix', path: '/run/env.sock' })
  assert.throws(() => new WorkloadApiClient({ env: { SPIFFE_ENDPOINT_SOCKET: 'ftp://x' } }), refused)
})
