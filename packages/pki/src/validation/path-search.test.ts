import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Certificate } from '../certificate/certificate.ts'
import { PkiError } from '../errors.ts'
import { build, type CertificateSpec, type TestIdentity } from '../testing/certificate-builder.ts'
import { defaultPathLimits } from './path-profile.ts'
import { validatePath } from './validate-path.ts'

const now = new Date('2026-06-01T12:00:00Z')
/** Three names with two keys each: enough for cross-signing, key rollover and loops. */
const identities = await Promise.all(
  ['a', 'b', 'c'].flatMap(subject => [0, 1].map(() => build({ subject, isCa: true }))),
)

const flaws: readonly CertificateSpec[] = [
  {},
  {},
  {},
  { notAfter: new Date('2021-01-01T00:00:00Z') },
  { pathLength: 0 },
  { pathLength: 1 },
  { breakSignature: true },
  { isCa: false },
  { keyUsage: ['cRLSign'] },
  { excluded: ['uri:example.org'] },
  { permitted: ['dir:a'] },
  { subjectKeyId: 'none' },
  { authorityKeyId: 'none' },
  { authorityKeyId: Uint8Array.of(9) },
]

interface Edge {
  readonly subject: number
  readonly issuer: number
  readonly flaw: number
  readonly anchor: boolean
}

async function accepts(chain: readonly Certificate[], anchors: readonly Certificate[]): Promise<boolean> {
  try {
    await validatePath({ chain, anchors, now, profile: 'spiffe' })
    return true
  } catch (error) {
    assert.ok(error instanceof PkiError && error.code === 'ERR_PKI_PATH')
    assert.notEqual(error.rule, 'limit')
    return false
  }
}

/** True if some sequence of certificates, each on top of the one before, is accepted with nothing else in sight. */
async function someLineIsAccepted(
  line: readonly Certificate[],
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
): Promise<boolean> {
  const top = line.at(-1) as Certificate
  for (const anchor of anchors) {
    if (anchor.subject.equals(top.issuer) && (await accepts(line, [anchor]))) return true
  }
  if (line.length >= defaultPathLimits.maxPathCertificates) return false
  for (const next of intermediates) {
    if (!next.subject.equals(top.issuer) || line.includes(next)) continue
    if (await someLineIsAccepted([...line, next], intermediates, anchors)) return true
  }
  return false
}

describe('the search for a path', () => {
  test('STD-X5-017 whatever certificates surround it, a valid path is found, and none where there is none', async () => {
    const place = fc.nat({ max: identities.length - 1 })
    const edge: fc.Arbitrary<Edge> = fc.record({
      subject: place,
      issuer: place,
      flaw: fc.nat({ max: flaws.length - 1 }),
      anchor: fc.boolean(),
    })
    let found = 0
    await fc.assert(
      fc.asyncProperty(fc.array(edge, { minLength: 1, maxLength: 6 }), place, async (edges, leafIssuer) => {
        const made = await Promise.all(
          edges.map(async ({ subject, issuer, flaw, anchor }) => {
            const { certificate, key } = identities[subject] as TestIdentity
            const spec = { isCa: true, ...flaws[flaw], subject: certificate.subject }
            return { anchor, certificate: (await build(spec, identities[issuer], key)).certificate }
          }),
        )
        const leaf = await build({ subject: 'leaf', names: ['uri:spiffe://example.org/web'] }, identities[leafIssuer])
        const intermediates = made.filter(({ anchor }) => !anchor).map(({ certificate }) => certificate)
        const anchors = made.filter(({ anchor }) => anchor).map(({ certificate }) => certificate)
        const expected = await someLineIsAccepted([leaf.certificate], intermediates, anchors)
        if (expected) found++
        assert.equal(await accepts([leaf.certificate, ...intermediates], anchors), expected)
        assert.equal(await accepts([leaf.certificate, ...intermediates.toReversed()], anchors.toReversed()), expected)
      }),
      { numRuns: 300 },
    )
    assert.ok(found > 5, `only ${found} of the graphs had a path`)
  })
})
