import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { FakeWorkloadApi, TestAuthority } from '@plastron/spiffe/testing'
import { repositoryRoot } from '../support/cluster.ts'
import { runProgram, startProgram } from '../support/run-program.ts'

/** The options of a program that finds this Workload API by its environment, as users set it. */
function environment(api: FakeWorkloadApi) {
  return {
    cwd: repositoryRoot,
    env: { ...process.env, SPIFFE_ENDPOINT_SOCKET: api.address },
    timeoutMs: 30_000,
  }
}

const example = (name: string) => join(repositoryRoot, 'examples', name)

describe('LIB-OTH-002 every example runs as its first lines say', () => {
  test('fetch-x509-svid', async () => {
    await using api = await FakeWorkloadApi.start({ identities: [{ path: '/web', hint: 'internal' }] })
    const { stdout, code } = await runProgram(process.execPath, [example('fetch-x509-svid.ts')], environment(api))
    assert.equal(code, 0)
    assert.match(stdout, /spiffe:\/\/example\.org\/web \(internal\) until 20/)
    assert.match(stdout, /trusts example\.org by 1 X\.509/)
  })

  test('jwt', async () => {
    await using api = await FakeWorkloadApi.start()
    const { stdout, code } = await runProgram(process.execPath, [example('jwt.ts'), 'db'], environment(api))
    assert.equal(code, 0)
    assert.match(stdout, /spiffe:\/\/example\.org\/workload for db until 20/)
  })

  test('watch', async () => {
    await using api = await FakeWorkloadApi.start()
    const program = startProgram(process.execPath, [example('watch.ts')], environment(api))
    await program.until('stdout', text => text.includes('/workload until'))
    await api.update({ identities: [{ path: '/rotated' }] })
    await program.until('stdout', text => text.includes('/rotated until'))
    program.child.kill('SIGINT')
    assert.equal((await program.ended).code, 0)
  })

  test('mtls-server and mtls-client', async () => {
    const authority = await TestAuthority.create()
    await using serverApi = await FakeWorkloadApi.start({ authority, identities: [{ path: '/server' }] })
    await using clientApi = await FakeWorkloadApi.start({ authority, identities: [{ path: '/client' }] })
    const server = startProgram(process.execPath, [example('mtls-server.ts')], environment(serverApi))
    const said = await server.until('stdout', text => text.includes('listens on'))
    const url = /https:\S+/.exec(said)?.[0] ?? ''
    const call = (id: string) =>
      runProgram(process.execPath, [example('mtls-client.ts'), url, id], environment(clientApi))
    const good = await call('spiffe://example.org/server')
    assert.equal(good.code, 0)
    assert.match(good.stdout, /hello spiffe:\/\/example\.org\/client, I am spiffe:\/\/example\.org\/server/)
    const bad = await call('spiffe://example.org/other')
    assert.notEqual(bad.code, 0)
    assert.match(bad.stderr, /ERR_TLS_PEER_REFUSED/)
    server.child.kill('SIGINT')
    assert.equal((await server.ended).code, 0)
  })
})
