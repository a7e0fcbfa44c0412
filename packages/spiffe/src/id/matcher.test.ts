import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchAny, matchId, matchMemberOf, matchOneOf } from './matcher.ts'
import { SpiffeId, TrustDomain } from './spiffe-id.ts'

const web = SpiffeId.parse('spiffe://example.org/web')
const admin = SpiffeId.parse('spiffe://example.org/web-attacker')
const foreign = SpiffeId.parse('spiffe://other.org/web')

test('LIB-ID-014 any, exact ID, one of, member of; errors name what was unexpected', () => {
  for (const id of [web, admin, foreign]) matchAny()(id)
  matchId(web)(web)
  assert.throws(() => matchId(web)(admin), { code: 'ERR_ID_UNEXPECTED', message: /web-attacker.*expected.*\/web/ })
  matchOneOf(web, foreign)(foreign)
  assert.throws(() => matchOneOf(web, foreign)(admin), { code: 'ERR_ID_UNEXPECTED', message: /web-attacker/ })
  assert.throws(() => matchOneOf()(web), { code: 'ERR_ID_UNEXPECTED' })
  matchMemberOf(TrustDomain.parse('example.org'))(admin)
  assert.throws(() => matchMemberOf(TrustDomain.parse('example.org'))(foreign), {
    code: 'ERR_ID_UNEXPECTED',
    message: /other\.org.*example\.org/,
  })
})
