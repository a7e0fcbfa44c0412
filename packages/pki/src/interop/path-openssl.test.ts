import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { PkiError } from '../errors.ts'
import { anyValue, build, type CertificateSpec, type TestIdentity } from '../testing/certificate-builder.ts'
import { type OpensslFolder, opensslFolder } from '../testing/openssl-command.ts'
import type { PathProfileName } from '../validation/path-profile.ts'
import { validatePath } from '../validation/validate-path.ts'

const now = new Date('2026-06-01T12:00:00Z')
const past = new Date('2021-01-01T00:00:00Z')
const future = new Date('2030-01-01T00:00:00Z')
const id = 'uri:spiffe://example.org/web'
const extra = (oid: string, critical: boolean) => [{ oid, critical, value: anyValue }]

/** What may be wrong, or odd, with a certificate. */
const changes = {
  expired: { notAfter: past },
  early: { notBefore: future },
  noCaFlag: { isCa: false },
  caFlag: { isCa: true },
  noBasicConstraints: { basicConstraints: 'none' },
  plainBasicConstraints: { basicConstraints: 'plain' },
  pathLength0: { pathLength: 0 },
  pathLength1: { pathLength: 1 },
  noKeyUsage: { keyUsage: 'none' },
  wrongKeyUsage: { keyUsage: ['digitalSignature'] },
  signingKeyUsage: { keyUsage: ['digitalSignature', 'keyCertSign'] },
  unknownCritical: { extra: extra('1.3.6.1.4.1.99999.1', true) },
  unknownPlain: { extra: extra('1.3.6.1.4.1.99999.1', false) },
  noSubjectKeyId: { subjectKeyId: 'none' },
  noAuthorityKeyId: { authorityKeyId: 'none' },
  otherAuthorityKeyId: { authorityKeyId: Uint8Array.of(1, 2, 3, 4) },
  criticalKeyIds: { keyIdsCritical: true },
  zeroSerial: { serialNumber: 0n },
  negativeSerial: { serialNumber: -5n },
  longSerial: { serialNumber: 1n << 167n },
  brokenSignature: { breakSignature: true },
  permitsUri: { permitted: ['uri:example.org'] },
  permitsOtherUri: { permitted: ['uri:other.example'] },
  permitsUrisBelow: { permitted: ['uri:.example.org'] },
  excludesUri: { excluded: ['uri:example.org'] },
  excludesOtherUri: { excluded: ['uri:other.example'] },
  permitsDns: { permitted: ['dns:example.org'] },
  permitsOtherDns: { permitted: ['dns:other.example'] },
  excludesDns: { excluded: ['dns:web.example.org'] },
  permitsIp: { permitted: ['ip:c0000200ffffff00'] },
  excludesMail: { excluded: ['email:example.org'] },
  permitsLeafDirectory: { permitted: ['dir:leaf'] },
  excludesLeafDirectory: { excluded: ['dir:leaf'] },
  plainConstraints: { permitted: ['uri:example.org'], constraintsCritical: false },
  dottedDnsConstraint: { permitted: ['dns:.example.org'] },
  noNames: { names: undefined },
  uriWithIp: { names: ['uri:spiffe://192.0.2.1/web'] },
  twoUris: { names: [id, 'uri:spiffe://example.org/api'] },
  manyNames: { names: [id, 'dns:web.example.org', 'dns:*.example.org', 'email:a@example.org', 'ip:c0000201'] },
  underscore: { names: [id, 'dns:a_b.example.org'] },
  emptySubject: { subject: '' },
  emptySubjectCriticalNames: { subject: '', namesCritical: true },
  serverOnly: { extKeyUsage: ['1.3.6.1.5.5.7.3.1'] },
} satisfies Record<string, CertificateSpec>

type Change = keyof typeof changes
type Role = 'root' | 'intermediate' | 'leaf'
type Label = `${Change}@${Role}`

const base: Record<Role, CertificateSpec> = {
  root: { subject: 'root', isCa: true },
  intermediate: { subject: 'intermediate', isCa: true },
  leaf: { subject: 'leaf', names: [id, 'dns:web.example.org'] },
}
const roles: readonly Role[] = ['root', 'intermediate', 'leaf']
const labels = roles.flatMap(role => (Object.keys(changes) as Change[]).map((change): Label => `${change}@${role}`))

/** Where profile rfc5280 and `openssl verify -x509_strict` (3.x) differ on a path with this change alone, and why. */
const known: Partial<Record<Label, string>> = {
  ...everywhere('zeroSerial', 'openssl does not look at serial numbers; RFC 5280 wants them positive'),
  ...everywhere('negativeSerial', 'openssl does not look at serial numbers; RFC 5280 wants them positive'),
  ...everywhere('longSerial', 'openssl does not look at serial numbers; RFC 5280 wants at most 20 octets'),
  ...everywhere('underscore', 'openssl does not look at the syntax of alternative names; RFC 5280 has no underscores'),
  ...everywhere('plainConstraints', 'openssl does not ask name constraints to be critical; RFC 5280 does'),
  ...everywhere('dottedDnsConstraint', 'openssl takes a leading dot in a DNS constraint; RFC 5280 knows none'),
  ...Object.fromEntries(
    (Object.keys(changes) as Change[])
      .filter(change => 'permitted' in changes[change] || 'excluded' in changes[change])
      .map(change => [
        `${change}@leaf`,
        'openssl lets a certificate that is no CA have name constraints; RFC 5280 does not',
      ]),
  ),
  'noKeyUsage@root':
    'openssl asks every CA for a key usage extension; RFC 5280 checks it "if present", as x509-limbo expects',
  'noKeyUsage@intermediate': 'the same',
  'otherAuthorityKeyId@root':
    'openssl checks the authority key identifier of a self-signed root; nothing depends on it',
}

/** Pairs of changes, wherever they are, that are judged differently although each alone is not, and why. */
const knownPairs: readonly (readonly [Change, Change, string])[] = [
  [
    'excludesUri',
    'uriWithIp',
    'RFC 5280 refuses a URI to which a constraint cannot be applied; openssl does so only if one is permitted',
  ],
  ['excludesOtherUri', 'uriWithIp', 'the same'],
]

function isKnown(chosen: readonly Label[]): boolean {
  const present = chosen.map(label => label.split('@')[0])
  return knownPairs.some(([a, b]) => present.includes(a) && present.includes(b))
}

function everywhere(change: Change, reason: string): Partial<Record<Label, string>> {
  return Object.fromEntries(roles.map(role => [`${change}@${role}`, reason]))
}

const uris = [
  'spiffe://example.org',
  'spiffe://example.org/web',
  'SPIFFE://EXAMPLE.ORG/Web',
  'spiffe://prod.example.org/web',
  'spiffe://notexample.org/web',
  'spiffe://example.org.evil.net/web',
  'spiffe://evil.net/example.org',
  'spiffe://example.org:8443/web',
  'spiffe://user@example.org/web',
  'spiffe://example.org@evil.net/web',
  'spiffe://evil.net?@example.org/',
  'spiffe://192.0.2.1/web',
  'spiffe:///web',
  'urn:uuid:5d1d0c3e',
]

/**
 * Where Plastron and openssl 3.x differ on a URI name under a constraint: openssl takes `user@` for a part of the host, and lets a URI with an IP
 * address pass that no constraint can be applied to unless one permits something.
 */
const knownUriDifferences: readonly string[] = [
  'permitted example.org, spiffe://user@example.org/web: we accept',
  'excluded example.org, spiffe://user@example.org/web: we refuse',
  'excluded example.org, spiffe://192.0.2.1/web: we refuse',
  'excluded .example.org, spiffe://192.0.2.1/web: we refuse',
  'permitted EXAMPLE.org, spiffe://user@example.org/web: we accept',
  'excluded EXAMPLE.org, spiffe://user@example.org/web: we refuse',
  'excluded EXAMPLE.org, spiffe://192.0.2.1/web: we refuse',
  'excluded other.example, spiffe://192.0.2.1/web: we refuse',
  'excluded org, spiffe://192.0.2.1/web: we refuse',
]

describe('paths against openssl verify', () => {
  let openssl: OpensslFolder
  let files = 0
  before(async () => {
    openssl = await opensslFolder()
  })
  after(() => openssl[Symbol.asyncDispose]())

  async function opensslAccepts(root: TestIdentity, intermediate: TestIdentity, leaf: TestIdentity): Promise<boolean> {
    const n = files++
    const write = (name: string, identity: TestIdentity) => openssl.write(`${n}-${name}`, identity.certificate.toPem())
    const [r, i, l] = [await write('root', root), await write('intermediate', intermediate), await write('leaf', leaf)]
    const at = String(now.getTime() / 1000)
    try {
      await openssl.run('verify', '-x509_strict', '-attime', at, '-CAfile', r, '-untrusted', i, l)
      return true
    } catch (error) {
      // 2 is verify's own "no"; anything else means that it did not get to judge.
      assert.equal((error as { code?: unknown }).code, 2, String(error))
      return false
    }
  }

  async function weAccept(
    chain: readonly TestIdentity[],
    anchor: TestIdentity,
    profile: PathProfileName,
  ): Promise<boolean> {
    try {
      const certificates = chain.map(({ certificate }) => certificate)
      await validatePath({ chain: certificates, anchors: [anchor.certificate], now, profile })
      return true
    } catch (error) {
      assert.ok(error instanceof PkiError, String(error))
      return false
    }
  }

  async function judge(chosen: readonly Label[]): Promise<{ ours: boolean; theirs: boolean; spiffe: boolean }> {
    const spec = (role: Role): CertificateSpec =>
      Object.assign(
        {},
        base[role],
        ...chosen.filter(label => label.endsWith(`@${role}`)).map(label => changes[label.split('@')[0] as Change]),
      )
    const root = await build(spec('root'))
    const intermediate = await build(spec('intermediate'), root)
    const leaf = await build(spec('leaf'), intermediate)
    return {
      ours: await weAccept([leaf, intermediate], root, 'rfc5280'),
      spiffe: await weAccept([leaf, intermediate], root, 'spiffe'),
      theirs: await opensslAccepts(root, intermediate, leaf),
    }
  }

  test('STD-X5-017 every single change is judged as openssl does, but for the known differences', async () => {
    assert.deepEqual(await judge([]), { ours: true, theirs: true, spiffe: true })
    const different: string[] = []
    for (const label of labels) {
      const { ours, theirs, spiffe } = await judge([label])
      assert.ok(spiffe || !ours, `${label}: spiffe is stricter than rfc5280`)
      if (ours !== theirs) different.push(`${label}: ${ours ? 'we accept' : 'we refuse'}`)
    }
    assert.deepEqual(
      different.map(line => line.replace(/:.*/, '')).toSorted(),
      Object.keys(known).toSorted(),
      different.join('\n'),
    )
  })

  test('the known pairs still differ', async () => {
    for (const [a, b] of knownPairs) {
      const { ours, theirs } = await judge([`${a}@root`, `${b}@leaf`])
      assert.notEqual(ours, theirs, `${a} ${b}`)
    }
  })

  test('random combinations of changes are judged alike unless a known difference is among them', async () => {
    const unlisted = labels.filter(label => known[label] === undefined)
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.constantFrom(...unlisted), { minLength: 1, maxLength: 4 }), async chosen => {
        fc.pre(!isKnown(chosen))
        const { ours, theirs, spiffe } = await judge(chosen)
        assert.equal(ours, theirs, chosen.join(' '))
        assert.ok(spiffe || !ours)
      }),
      { numRuns: 60 },
    )
  })

  test('STD-X5-010 URI names under URI constraints are judged as openssl does, but for the known differences', async () => {
    const different: string[] = []
    for (const constraint of ['example.org', '.example.org', 'EXAMPLE.org', 'other.example', 'org']) {
      for (const kind of ['permitted', 'excluded'] as const) {
        const root = await build({ ...base.root, [kind]: [`uri:${constraint}`] })
        const intermediate = await build(base.intermediate, root)
        const verdicts = await Promise.all(
          uris.map(async uri => {
            const leaf = await build({ subject: 'leaf', names: [`uri:${uri}`] }, intermediate)
            const ours = await weAccept([leaf, intermediate], root, 'spiffe')
            return { uri, ours, theirs: await opensslAccepts(root, intermediate, leaf) }
          }),
        )
        for (const { uri, ours, theirs } of verdicts) {
          if (ours !== theirs) different.push(`${kind} ${constraint}, ${uri}: ${ours ? 'we accept' : 'we refuse'}`)
        }
      }
    }
    assert.deepEqual(different, knownUriDifferences)
  })
})
