import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bundleV1, localauthorityV1, loggerV1, types } from '@plastron/api'
import { Certificate } from '@plastron/pki'
import { statusOf, TestServer } from '../test-server.ts'

const none = { authorityId: '' }

/** One kind of authority through the API, whatever its methods are called. */
function kindOf(server: TestServer, kind: 'X509' | 'JWT' | 'WIT') {
  const client = server.client(localauthorityV1.LocalAuthority)
  switch (kind) {
    case 'X509':
      return {
        state: () => client.getX509AuthorityState({}),
        prepare: () => client.prepareX509Authority({}),
        activate: (authorityId: string) => client.activateX509Authority({ authorityId }),
        taint: (authorityId: string) => client.taintX509Authority({ authorityId }),
        revoke: (authorityId: string) => client.revokeX509Authority({ authorityId }),
      }
    case 'JWT':
      return {
        state: () => client.getJWTAuthorityState({}),
        prepare: () => client.prepareJWTAuthority({}),
        activate: (authorityId: string) => client.activateJWTAuthority({ authorityId }),
        taint: (authorityId: string) => client.taintJWTAuthority({ authorityId }),
        revoke: (authorityId: string) => client.revokeJWTAuthority({ authorityId }),
      }
    case 'WIT':
      return {
        state: () => client.getWITAuthorityState({}),
        prepare: () => client.prepareWITAuthority({}),
        activate: (authorityId: string) => client.activateWITAuthority({ authorityId }),
        taint: (authorityId: string) => client.taintWITAuthority({ authorityId }),
        revoke: (authorityId: string) => client.revokeWITAuthority({ authorityId }),
      }
  }
}

describe('LocalAuthority', () => {
  for (const kind of ['X509', 'JWT', 'WIT'] as const) {
    test(`SRV-API-110 SRV-API-111 SRV-API-112 SRV-API-113 SRV-API-115 SRV-API-117 SRV-API-118 SRV-API-119 SRV-API-120 SRV-ISS-081 the life of a ${kind} authority`, async () => {
      await using server = await TestServer.start()
      const api = kindOf(server, kind)
      const first = (await api.state()).active ?? assert.fail()
      assert.match(first.authorityId, kind === 'X509' ? /^[0-9a-f]{40}$/ : /^[a-zA-Z0-9]{32}$/)
      assert.equal(first.expiresAt, BigInt(Math.floor((server.clock.now().getTime() + 86_400_000) / 1000)))
      assert.equal(first.upstreamAuthoritySubjectKeyId, '')
      const code = async (call: Promise<unknown>) => (await statusOf(call)).code
      for (const id of ['', 'unknown', first.authorityId]) {
        assert.equal(await code(api.activate(id)), 'INVALID_ARGUMENT')
        assert.equal(await code(api.taint(id)), 'INVALID_ARGUMENT')
        assert.equal(await code(api.revoke(id)), 'INVALID_ARGUMENT')
      }
      const second = (await api.prepare()).preparedAuthority ?? assert.fail()
      let state = await api.state()
      assert.equal(state.prepared?.authorityId, second.authorityId)
      assert.equal(state.active?.authorityId, first.authorityId)
      assert.equal(state.old, undefined)
      assert.equal(await code(api.taint(second.authorityId)), 'INVALID_ARGUMENT')
      assert.equal(await code(api.revoke(second.authorityId)), 'INVALID_ARGUMENT')
      assert.equal((await api.activate(second.authorityId)).activatedAuthority?.authorityId, second.authorityId)
      state = await api.state()
      assert.equal(state.active?.authorityId, second.authorityId)
      assert.equal(state.old?.authorityId, first.authorityId)
      assert.equal(await code(api.activate(first.authorityId)), 'FAILED_PRECONDITION')
      assert.equal(await code(api.revoke(first.authorityId)), 'FAILED_PRECONDITION')
      assert.equal((await api.taint(first.authorityId)).taintedAuthority?.authorityId, first.authorityId)
      const bundle = await server.client(bundleV1.Bundle).getBundle({})
      const tainted = [...bundle.x509Authorities, ...bundle.jwtAuthorities, ...bundle.witAuthorities].filter(
        key => key.tainted,
      )
      assert.equal(tainted.length, 1)
      assert.equal(await code(api.taint(first.authorityId)), 'FAILED_PRECONDITION')
      assert.equal((await api.revoke(first.authorityId)).revokedAuthority?.authorityId, first.authorityId)
      state = await api.state()
      assert.equal(state.old, undefined)
      assert.equal(await code(api.revoke(first.authorityId)), 'INVALID_ARGUMENT')
      const after = await server.client(bundleV1.Bundle).getBundle({})
      assert.equal(after.x509Authorities.length + after.jwtAuthorities.length + after.witAuthorities.length, 3)
    })
  }

  test('SRV-API-113 SRV-ISS-061 SRV-ISS-080 F8 the server leaves a tainted authority at once, and is reachable all the time', async () => {
    await using server = await TestServer.start()
    const api = kindOf(server, 'X509')
    const signers: string[] = []
    const look = async () => {
      const channel = server.connect(undefined, async ([leaf]) => {
        signers.push(Buffer.from(Certificate.parse(leaf ?? new Uint8Array()).authorityKeyId ?? []).toString('hex'))
      })
      await channel.client(bundleV1.Bundle).getBundle({})
      return signers.at(-1)
    }
    const first = (await api.state()).active?.authorityId ?? assert.fail()
    const second = (await api.prepare()).preparedAuthority?.authorityId ?? assert.fail()
    await api.activate(second)
    assert.equal(await look(), first)
    await api.taint(first)
    await server.clock.advance(5_000)
    while ((await look()) !== second) await server.clock.advance(1_000)
    await api.revoke(first)
    assert.equal(await look(), second)
  })

  test('SRV-API-114 SRV-API-116 without an upstream authority there is none to taint or revoke', async () => {
    await using server = await TestServer.start({ server: 'disable_jwt_svids = true' })
    const client = server.client(localauthorityV1.LocalAuthority)
    for (const call of [client.taintX509UpstreamAuthority({}), client.revokeX509UpstreamAuthority({})])
      assert.equal((await statusOf(call)).code, 'FAILED_PRECONDITION')
    for (const call of [
      client.getJWTAuthorityState({}),
      client.prepareJWTAuthority({}),
      client.activateJWTAuthority(none),
      client.taintJWTAuthority(none),
      client.revokeJWTAuthority(none),
    ])
      assert.equal((await statusOf(call)).code, 'UNIMPLEMENTED')
    assert.equal(
      (await statusOf(server.connect().client(localauthorityV1.LocalAuthority).getX509AuthorityState({}))).code,
      'PERMISSION_DENIED',
    )
  })

  test('SRV-AUD-011 audit records name the authority that was meant, also when the call failed, and the level of the log', async () => {
    await using server = await TestServer.start({ server: 'audit_log_enabled = true' })
    const records = () =>
      server.log.events.filter(({ message }) => message === 'API accessed').map(({ fields }) => fields)
    const api = kindOf(server, 'JWT')
    const first = (await api.state()).active?.authorityId ?? assert.fail()
    assert.equal(records().at(-1)?.local_authority_id, undefined)
    const second = (await api.prepare()).preparedAuthority?.authorityId ?? assert.fail()
    await api.activate(second)
    await api.taint(first)
    await api.revoke(first)
    await statusOf(api.revoke('unknown'))
    assert.deepEqual(
      records()
        .slice(1)
        .map(({ method, status, local_authority_id: id }) => [method, status, id]),
      [
        ['PrepareJWTAuthority', 'success', second],
        ['ActivateJWTAuthority', 'success', second],
        ['TaintJWTAuthority', 'success', first],
        ['RevokeJWTAuthority', 'success', first],
        ['RevokeJWTAuthority', 'error', 'unknown'],
      ],
    )
    const upstream = server.client(localauthorityV1.LocalAuthority)
    await statusOf(upstream.taintX509UpstreamAuthority({ subjectKeyId: 'abcd' }))
    assert.deepEqual([records().at(-1)?.status, records().at(-1)?.subject_key_id], ['error', 'abcd'])
    const logger = server.client(loggerV1.Logger)
    await logger.setLogLevel({ newLevel: types.LogLevel.DEBUG })
    assert.equal(records().at(-1)?.new_log_level, 'debug')
    await logger.resetLogLevel({})
    assert.equal(records().at(-1)?.launch_log_level, 'info')
  })
})
