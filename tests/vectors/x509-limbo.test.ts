import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Certificate, type PathProfileName, PkiError, pathProfiles, validatePath } from '@plastron/pki'

interface Case {
  readonly id: string
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  readonly validation_time: string | null
  readonly extended_key_usage: readonly string[]
  readonly expected_result: 'SUCCESS' | 'FAILURE'
  readonly max_chain_depth: number | null
}

type Answer = 'SUCCESS' | 'FAILURE'

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'))
const { testcases } = read('./x509-limbo/x509-limbo.json') as { testcases: readonly Case[] }
const exceptions = read('./x509-limbo/exceptions.json') as Record<PathProfileName, Readonly<Record<string, string>>>
const applicable = testcases.filter(({ id }) => !id.startsWith('webpki::'))
const maxMilliseconds = 100

/** An intermediate or anchor that cannot be read is one that is not there. */
function readable(pem: string): Certificate[] {
  try {
    return Certificate.parsePem(pem)
  } catch (error) {
    assert.ok(error instanceof PkiError)
    return []
  }
}

async function answer(testcase: Case, profile: PathProfileName, maxChainCertificates?: number): Promise<Answer> {
  const { extended_key_usage: usages, max_chain_depth: depth } = testcase
  try {
    const [leaf] = Certificate.parsePem(testcase.peer_certificate)
    const path = await validatePath({
      chain: [leaf as Certificate, ...testcase.untrusted_intermediates.flatMap(readable)],
      anchors: testcase.trusted_certs.flatMap(readable),
      now: new Date(testcase.validation_time ?? '2026-06-01T00:00:00Z'),
      profile,
      purpose: usages.includes('serverAuth') ? 'server' : usages.includes('clientAuth') ? 'client' : 'any',
      limits: {
        ...(depth === null ? {} : { maxIntermediates: depth }),
        ...(maxChainCertificates === undefined ? {} : { maxChainCertificates }),
      },
    })
    assert.equal(path[0], leaf)
    return 'SUCCESS'
  } catch (error) {
    assert.ok(error instanceof PkiError, `${testcase.id} threw something else than PkiError: ${error}`)
    return 'FAILURE'
  }
}

/** All answers by id, and which took longer than the bound even at the second attempt. */
async function answers(profile: PathProfileName): Promise<{ byId: Map<string, Answer>; slow: string[] }> {
  const byId = new Map<string, Answer>()
  const slow: string[] = []
  for (const testcase of applicable) {
    const times: number[] = []
    // The second attempt is only for the clock: another process may have had the core.
    do {
      const started = performance.now()
      byId.set(testcase.id, await answer(testcase, profile))
      times.push(performance.now() - started)
    } while (times.length < 2 && (times[0] as number) > maxMilliseconds)
    if (Math.min(...times) > maxMilliseconds) slow.push(`${testcase.id}: ${times.map(Math.round).join(', ')} ms`)
  }
  return { byId, slow }
}

const other = (result: Answer): Answer => (result === 'SUCCESS' ? 'FAILURE' : 'SUCCESS')

describe('x509-limbo', () => {
  test('the file holds what its README says', () => {
    assert.equal(testcases.length, 193)
    assert.equal(applicable.length, 137)
    const ids = new Set(applicable.map(({ id }) => id))
    for (const list of Object.values(exceptions)) {
      for (const id of Object.keys(list)) assert.ok(ids.has(id), `exception ${id} names no applicable case`)
    }
    for (const [id, rule] of Object.entries(exceptions.spiffe)) {
      assert.ok(rule in pathProfiles.spiffe, `${id}: ${rule} is no member of PathProfile`)
    }
  })

  test('STD-X5-017 profile rfc5280 answers as the cases expect, but for the listed exceptions', async () => {
    const { byId, slow } = await answers('rfc5280')
    const expected = applicable.map(({ id, expected_result: result }): [string, Answer] => [
      id,
      id in exceptions.rfc5280 ? other(result) : result,
    ])
    assert.deepEqual([...byId], expected)
    assert.deepEqual(slow, [])
  })

  test('STD-X5-017 profile spiffe answers as rfc5280 but where it is listed as lenient, and is never stricter', async () => {
    const strict = await answers('rfc5280')
    const { byId, slow } = await answers('spiffe')
    const expected = [...strict.byId].map(([id, result]): [string, Answer] => {
      if (id in exceptions.spiffe) assert.equal(result, 'FAILURE', `${id} is listed and accepted by rfc5280 too`)
      return [id, id in exceptions.spiffe ? 'SUCCESS' : result]
    })
    assert.deepEqual([...byId], expected)
    assert.deepEqual(slow, [])
  })

  test('ADV-18 the pathological cases are refused in bounded time even where their many certificates are let in', async () => {
    for (const profile of ['rfc5280', 'spiffe'] as const) {
      for (const testcase of applicable.filter(({ id }) => id.startsWith('pathological::'))) {
        let best = Number.POSITIVE_INFINITY
        for (let attempt = 0; attempt < 3 && best > maxMilliseconds; attempt++) {
          const started = performance.now()
          assert.equal(await answer(testcase, profile, 1000), testcase.expected_result, testcase.id)
          best = Math.min(best, performance.now() - started)
        }
        assert.ok(best <= maxMilliseconds, `${testcase.id} took ${best} ms`)
      }
    }
  })
})
