import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { localauthorityV1 } from '@plastron/api'
import { Certificate } from '@plastron/pki'
import { JwtSvid, WitSvid } from '@plastron/spiffe'
import { secured } from '../../packages/agent/src/testing/test-agent.ts'
import { Pair } from '../support/pair.ts'

const agentPath = '/spire/agent/join_token/token-1'

/** How many certificates stand one after the other in DER. */
function count(der: Uint8Array): number {
  let found = 0
  for (let rest = Buffer.from(der); rest.length > 0; found += 1) {
    // A certificate is longer than 255 octets and shorter than 65,536: its length is in the two octets after the first two.
    assert.equal(rest.readUInt16BE(0), 0x3082)
    const length = 4 + rest.readUInt16BE(2)
    Certificate.parse(rest.subarray(0, length))
    rest = rest.subarray(length)
  }
  return found
}

/** An agent with the identity `/web`, and the server's local authorities. */
async function house() {
  await using owned = new AsyncDisposableStack()
  const pair = owned.use(await Pair.start())
  await pair.register('/web', agentPath)
  const workload = await pair.workload('/web')
  const authorities = pair.server.client(localauthorityV1.LocalAuthority)
  const everything = owned.move()
  return { pair, workload, authorities, [Symbol.asyncDispose]: () => everything.disposeAsync() }
}

describe('a tainted authority, over push', () => {
  test('X.509: what rests on it is replaced at once, the own certificate too; after the revocation nobody trusts it', async () => {
    await using h = await house()
    const { pair, workload, authorities } = h
    const { preparedAuthority } = await authorities.prepareX509Authority({})
    await pair.until(() => count(workload.bundle) === 2, 'the prepared authority')
    await authorities.activateX509Authority({ authorityId: preparedAuthority?.authorityId ?? '' })
    const before = workload.svids[0]!.leaf
    const agentEnd = async () => {
      const [leaf] = (await pair.agent.debug.getInfo({})).svidChain
      return `${leaf?.expiresAt}`
    }
    const agentBefore = await agentEnd()
    const { old } = await authorities.getX509AuthorityState({})
    const authorityId = old?.authorityId ?? ''
    const key = (leaf: Certificate) => Buffer.from(leaf.authorityKeyId ?? []).toString('hex')
    assert.equal(key(before), authorityId)
    // A certificate that is made now ends at another second than the one before.
    await pair.advance(2000)
    await authorities.taintX509Authority({ authorityId })
    await pair.until(() => key(workload.svids[0]!.leaf) !== authorityId, 'a new X509-SVID')
    assert.equal(key(workload.svids[0]!.leaf), preparedAuthority?.authorityId)
    assert.notEqual(workload.svids[0]!.leaf.serialNumber, before.serialNumber)
    assert.equal(count(workload.bundle), 2, 'until it is revoked, what rests on it is believed')
    await pair.until(async () => (await agentEnd()) !== agentBefore, 'a new certificate of the agent')

    const replacement = workload.svids[0]!.leaf.serialNumber
    await authorities.revokeX509Authority({ authorityId })
    await pair.until(() => count(workload.bundle) === 1, 'the end of the revoked authority')
    assert.equal(workload.svids[0]!.leaf.serialNumber, replacement)
    // The connection to the server outlived all of it: it still pushes.
    await pair.register('/later', agentPath)
    await pair.until(() => workload.paths.includes('/later'), 'an entry after the revocation')
    assert.equal(workload.ended, undefined)
  })

  test('JWT: tokens that it signed are given out no more; after the revocation its key is gone from the bundle', async () => {
    await using h = await house()
    const { pair, authorities } = h
    const api = pair.agent.workload
    const fetch = async () => {
      const { svids } = await api.fetchJWTSVID({ audience: ['reports'] }, secured)
      return JwtSvid.parseInsecure(svids[0]!.svid, { now: pair.server.clock.now() })
    }
    const keyIds: string[][] = []
    const following = (async () => {
      for await (const { bundles } of api.fetchJWTBundles({}, secured)) {
        const { keys } = JSON.parse(Buffer.from(bundles['spiffe://example.org']!).toString()) as {
          keys: { kid: string }[]
        }
        keyIds.push(keys.map(({ kid }) => kid))
      }
    })().catch(() => undefined)
    const before = await fetch()
    const tainted = before.keyId ?? ''
    assert.equal((await fetch()).marshal(), before.marshal(), 'a token is given out again')
    const { preparedAuthority } = await authorities.prepareJWTAuthority({})
    const next = preparedAuthority?.authorityId ?? ''
    await pair.until(() => keyIds.at(-1)?.includes(next) === true, 'the prepared authority')
    await authorities.activateJWTAuthority({ authorityId: next })
    assert.equal((await fetch()).marshal(), before.marshal(), 'a new authority alone replaces nothing')
    await authorities.taintJWTAuthority({ authorityId: tainted })
    const dropped = () =>
      pair.agent.log.events.filter(({ message }) => message === 'Tokens of tainted authorities were dropped')
    await pair.until(() => dropped().length > 0, 'the end of the tokens')
    const after = await fetch()
    assert.equal(after.keyId, next)
    assert.equal((await fetch()).marshal(), after.marshal())
    await authorities.revokeJWTAuthority({ authorityId: tainted })
    await pair.until(() => keyIds.at(-1)?.includes(tainted) === false, 'the end of the revoked authority')
    assert.ok(keyIds.at(-1)?.includes(next))
    assert.equal((await fetch()).marshal(), after.marshal())
    assert.equal(dropped().length, 1)
    await pair[Symbol.asyncDispose]()
    await following
  })

  test('WIT: tokens that it signed are given out no more', async () => {
    await using h = await house()
    const { pair, authorities } = h
    const fetch = async () => {
      for await (const { svids } of pair.agent.workload.fetchWITSVID({}, secured)) return svids[0]?.witSvid ?? ''
      throw new Error('no WIT-SVID')
    }
    const keyIdOf = (token: string) => WitSvid.parseInsecure(token, { now: pair.server.clock.now() }).keyId
    const before = await fetch()
    const { preparedAuthority } = await authorities.prepareWITAuthority({})
    const next = preparedAuthority?.authorityId ?? ''
    await authorities.activateWITAuthority({ authorityId: next })
    assert.equal(await fetch(), before)
    await authorities.taintWITAuthority({ authorityId: keyIdOf(before) })
    await pair.until(async () => (await fetch()) !== before, 'another token')
    assert.equal(keyIdOf(await fetch()), next)
  })
})
