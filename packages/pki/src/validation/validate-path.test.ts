import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Certificate } from '../certificate/certificate.ts'
import { ExtKeyUsageOid } from '../certificate/oids.ts'
import { derBitString, derOid, derSequence } from '../der/writer.ts'
import { type PathRule, PkiError } from '../errors.ts'
import { rsaSpki } from '../keys/spki.ts'
import { anyValue, build, type CertificateSpec, type TestIdentity } from '../testing/certificate-builder.ts'
import { defaultPathLimits, type PathProfileName, pathProfiles } from './path-profile.ts'
import { type PathValidation, validatePath } from './validate-path.ts'

const now = new Date('2026-06-01T12:00:00Z')
const rootSpec: CertificateSpec = { subject: 'root', isCa: true }
const leafSpec: CertificateSpec = { subject: 'leaf', names: ['uri:spiffe://example.org/web'] }
const profiles: readonly PathProfileName[] = ['rfc5280', 'spiffe']

const certificates = (...identities: readonly TestIdentity[]): Certificate[] => identities.map(one => one.certificate)

function validate(
  chain: readonly TestIdentity[],
  anchors: readonly TestIdentity[],
  options: Partial<PathValidation> = {},
): Promise<Certificate[]> {
  const profile = options.profile ?? 'spiffe'
  return validatePath({ chain: certificates(...chain), anchors: certificates(...anchors), now, ...options, profile })
}

/** Expects a refusal under a rule, by one of the two profiles or both. */
async function refuses(
  rule: PathRule,
  chain: readonly TestIdentity[],
  anchors: readonly TestIdentity[],
  options: Partial<PathValidation> = {},
  message = /./,
): Promise<void> {
  for (const profile of options.profile === undefined ? profiles : [options.profile]) {
    await assert.rejects(validate(chain, anchors, { ...options, profile }), (error: unknown) => {
      assert.ok(error instanceof PkiError, String(error))
      assert.equal(error.code, 'ERR_PKI_PATH')
      assert.equal(`${profile} ${error.rule}: ${error.message}`.split(':')[0], `${profile} ${rule}`, error.message)
      assert.match(error.message, message)
      return true
    })
  }
}

async function accepts(
  chain: readonly TestIdentity[],
  anchors: readonly TestIdentity[],
  options: Partial<PathValidation> = {},
): Promise<void> {
  for (const profile of options.profile === undefined ? profiles : [options.profile]) {
    await validate(chain, anchors, { ...options, profile })
  }
}

describe('certification paths', () => {
  let root: TestIdentity
  let intermediate: TestIdentity
  before(async () => {
    root = await build(rootSpec)
    intermediate = await build({ subject: 'intermediate', isCa: true }, root)
  })
  const leafOf = (issuer: TestIdentity, spec: CertificateSpec = {}) => build({ ...leafSpec, ...spec }, issuer)

  test('STD-X5-017 the path is returned from leaf to anchor, whatever the order and number of intermediates', async () => {
    const leaf = await leafOf(intermediate)
    const stranger = await build(rootSpec)
    for (const profile of profiles) {
      for (const rest of [[intermediate], [stranger, intermediate], [root, intermediate, intermediate, leaf]]) {
        const path = await validate([leaf, ...rest], [stranger, root], { profile })
        assert.deepEqual(path, certificates(leaf, intermediate, root))
      }
    }
    assert.deepEqual(await validate([await leafOf(root)], [root]).then(path => path.length), 2)
  })

  test('an intermediate can be the anchor, and then nothing above it matters', async () => {
    const old = await build({ ...rootSpec, notAfter: new Date('2021-01-01T00:00:00Z') })
    const below = await build({ subject: 'intermediate', isCa: true }, old)
    const leaf = await leafOf(below)
    await accepts([leaf], [below])
    await accepts([leaf, below, old], [below])
    await refuses('validity', [leaf, below], [old])
  })

  test('nothing is trusted without an anchor', async () => {
    const leaf = await leafOf(root)
    await refuses('no-issuer', [leaf, root], [])
    await refuses('no-issuer', [leaf, root], [await build({ ...rootSpec, subject: 'another' })])
    await refuses('no-issuer', [root], [])
    await refuses('signature', [leaf, root], [await build(rootSpec)], { profile: 'spiffe' })
    await refuses('no-issuer', [leaf], [await build(rootSpec)], { profile: 'rfc5280' })
    await refuses('no-issuer', [await build(leafSpec)], [root], {}, /self-issued and no anchor/)
  })

  test('a certificate is not its own anchor', async () => {
    const selfSigned = await build({ ...rootSpec, names: ['uri:spiffe://example.org/web'] })
    await assert.rejects(validate([selfSigned], [selfSigned]), PkiError)
    const leaf = await build(leafSpec)
    await assert.rejects(validate([leaf], [leaf]), PkiError)
  })

  test('a question without certificates or date is refused', async () => {
    await refuses('input', [], [root])
    await refuses('input', [await leafOf(root)], [root], { now: new Date(Number.NaN) })
  })

  test('every certificate must be valid at the time, both ends included and to the second', async () => {
    const times = { notBefore: new Date('2026-06-01T12:00:00Z'), notAfter: new Date('2026-06-01T12:00:10Z') }
    const short = await build({ ...rootSpec, ...times })
    const [below, leaf] = [await leafOf(short), await leafOf(root, times)]
    const at = (text: string) => ({ now: new Date(text) })
    for (const text of ['2026-06-01T12:00:00Z', '2026-06-01T12:00:10Z', '2026-06-01T12:00:10.999Z']) {
      await accepts([below], [short], at(text))
      await accepts([leaf], [root], at(text))
    }
    await refuses(
      'validity',
      [leaf],
      [root],
      at('2026-06-01T11:59:59.999Z'),
      /leaf.*not valid before 2026-06-01T12:00:00/,
    )
    await refuses('validity', [leaf], [root], at('2026-06-01T12:00:11Z'), /leaf.*expired at 2026-06-01T12:00:10/)
    await refuses('validity', [below], [short], at('2026-06-01T12:00:11Z'), /anchor.*expired/)
  })

  test('STD-X5-009 an issuer is a CA', async () => {
    for (const spec of [
      { isCa: false },
      { isCa: false, basicConstraints: 'none' },
      { isCa: false, keyUsage: 'none' },
    ] as const) {
      const fake = await build({ subject: 'fake', ...spec }, root)
      await refuses('basic-constraints', [await leafOf(fake), fake], [root])
      const anchor = await build({ subject: 'fake', ...spec })
      await refuses('basic-constraints', [await leafOf(anchor)], [anchor])
    }
  })

  test('STD-X5-012 the key usage of an issuer has keyCertSign', async () => {
    const mute = await build({ subject: 'mute', isCa: true, keyUsage: ['cRLSign'] }, root)
    await refuses('key-usage', [await leafOf(mute), mute], [root])
    const silent = await build({ subject: 'silent', isCa: true, keyUsage: 'none' }, root)
    await accepts([await leafOf(silent), silent], [root])
  })

  test('STD-X5-018 what only a CA may have is refused in a certificate that is none', async () => {
    await refuses('basic-constraints', [await leafOf(root, { keyUsage: ['digitalSignature', 'keyCertSign'] })], [root])
    await refuses('basic-constraints', [await leafOf(root, { permitted: ['uri:example.org'] })], [root])
    await refuses('basic-constraints', [await leafOf(root, { pathLength: 0 })], [root])
  })

  test('path lengths count the intermediates below that are not self-issued', async () => {
    const top = await build({ ...rootSpec, pathLength: 1 })
    const a = await build({ subject: 'a', isCa: true }, top)
    const again = await build({ subject: 'a', isCa: true }, a)
    const b = await build({ subject: 'b', isCa: true }, again)
    await accepts([await leafOf(a), a], [top])
    await accepts([await leafOf(again), again, a], [top])
    await refuses('path-length', [await leafOf(b), b, again, a], [top], {}, /anchor.*allows 1 .* has 2/)
    const zero = await build({ subject: 'zero', isCa: true, pathLength: 0 }, root)
    await accepts([await leafOf(zero), zero], [root])
    await accepts([await build({ subject: 'ca as leaf', isCa: true }, zero), zero], [root])
    const under = await build({ subject: 'under', isCa: true }, zero)
    await refuses('path-length', [await leafOf(under), under, zero], [root], {}, /intermediate.*"CN=zero"/)
  })

  test('a path has at most 8 certificates, and as few intermediates as the caller says', async () => {
    const line = [root]
    for (let i = 1; i <= 7; i++) line.unshift(await build({ subject: `ca ${i}`, isCa: true }, line[0]))
    const below = (from: number) => line.slice(from, -1)
    await accepts([await leafOf(line[1] as TestIdentity), ...below(1)], [root])
    await refuses('path-length', [await leafOf(line[0] as TestIdentity), ...below(0)], [root])
    const leaf = await leafOf(intermediate)
    await refuses('path-length', [leaf, intermediate], [root], { limits: { maxIntermediates: 0 } })
    await accepts([await leafOf(root)], [root], { limits: { maxIntermediates: 0 } })
  })

  test('unknown critical extensions are refused wherever they are on the path, and only there', async () => {
    const extra = [{ oid: '1.3.6.1.4.1.99999.1', critical: true, value: anyValue }]
    const plain = [{ oid: '1.3.6.1.4.1.99999.1', critical: false, value: anyValue }]
    await refuses('critical-extension', [await leafOf(root, { extra })], [root], {}, /leaf.*1\.3\.6\.1\.4\.1\.99999\.1/)
    await accepts([await leafOf(root, { extra: plain })], [root])
    const middle = await build({ subject: 'middle', isCa: true, extra }, root)
    await refuses('critical-extension', [await leafOf(middle), middle], [root], {}, /intermediate/)
    const anchor = await build({ ...rootSpec, extra })
    await refuses('critical-extension', [await leafOf(anchor)], [anchor], {}, /anchor/)
    await accepts([await leafOf(root), middle], [root, anchor])
  })

  test('criticality where RFC 5280 forbids it is refused', async () => {
    await refuses('critical-extension', [await leafOf(root, { keyIdsCritical: true })], [root])
    const access = [{ oid: '1.3.6.1.5.5.7.1.1', critical: true, value: anyValue }]
    await refuses('critical-extension', [await leafOf(root, { extra: access })], [root], {}, /never/)
  })

  test('STD-X5-004 without a subject the alternative names must be critical', async () => {
    await refuses('critical-extension', [await leafOf(root, { subject: '' })], [root])
    await refuses('critical-extension', [await leafOf(root, { subject: '', names: undefined })], [root])
    await accepts([await leafOf(root, { subject: '', namesCritical: true })], [root])
  })

  test('policy restrictions are not processed and therefore refused, critical or not', async () => {
    for (const oid of ['2.5.29.36', '2.5.29.54']) {
      for (const critical of [true, false]) {
        const ca = await build({ subject: 'ca', isCa: true, extra: [{ oid, critical, value: anyValue }] }, root)
        await refuses('policy', [await leafOf(ca), ca], [root])
      }
    }
  })

  test('names of issuers are there', async () => {
    const nameless = await build(
      { subject: '', isCa: true, names: ['uri:spiffe://example.org'], namesCritical: true },
      root,
    )
    await refuses('name', [await leafOf(nameless), nameless], [root])
  })

  test('serial numbers are positive and at most 20 octets long', async () => {
    for (const serialNumber of [0n, -1n, 1n << 159n]) {
      await refuses('serial-number', [await leafOf(root, { serialNumber })], [root])
    }
    await accepts([await leafOf(root, { serialNumber: (1n << 159n) - 1n })], [root])
  })

  test('extended key usages of every certificate on the path allow the purpose', async () => {
    const { serverAuth, clientAuth, any } = ExtKeyUsageOid
    const server = await leafOf(root, { extKeyUsage: [serverAuth] })
    await accepts([server], [root], { purpose: 'server' })
    await accepts([server], [root], { purpose: 'any' })
    await accepts([server], [root])
    await refuses('extended-key-usage', [server], [root], { purpose: 'client' })
    await accepts([await leafOf(root, { extKeyUsage: [any] })], [root], { purpose: 'client' })
    await accepts([await leafOf(root)], [root], { purpose: 'client' })
    const clients = await build({ subject: 'clients', isCa: true, extKeyUsage: [clientAuth] }, root)
    const both = await leafOf(clients, { extKeyUsage: [serverAuth, clientAuth] })
    await accepts([both, clients], [root], { purpose: 'client' })
    await refuses('extended-key-usage', [both, clients], [root], { purpose: 'server' }, /intermediate/)
  })

  test('a signature that the issuer did not make is refused, on every certificate but the anchor', async () => {
    await refuses('signature', [await leafOf(root, { breakSignature: true })], [root], {}, /leaf/)
    const broken = await build({ subject: 'broken', isCa: true, breakSignature: true }, root)
    await refuses('signature', [await leafOf(broken), broken], [root], {}, /intermediate/)
    const anchor = await build({ ...rootSpec, breakSignature: true })
    await accepts([await leafOf(anchor)], [anchor])
  })

  test('every kind of key signs and verifies on a path', async () => {
    const { PrivateKey } = await import('../keys/private-key.ts')
    for (const type of ['ec-p384', 'rsa-2048', 'ed25519'] as const) {
      const top = await build(rootSpec, undefined, await PrivateKey.generate(type))
      await accepts([await leafOf(top)], [top])
    }
  })

  test('a key of an unknown kind cannot issue, is no matter on a leaf, and crashes nothing (as in CVE-2024-24783, CVE-2025-58188)', async () => {
    // DSA without parameters, P-192, an unknown OID, an EC point that is not on the curve, and no key at all.
    const key = (bytes: Uint8Array, ...algorithm: string[]) =>
      derSequence(derSequence(...algorithm.map(derOid)), derBitString(bytes))
    const odd = [
      key(Uint8Array.of(2, 1, 5), '1.2.840.10040.4.1'),
      key(Uint8Array.of(4, ...Buffer.alloc(48, 1)), '1.2.840.10045.2.1', '1.2.840.10045.3.1.1'),
      key(Uint8Array.of(1, 2, 3), '1.3.101.999'),
      key(Uint8Array.of(4, ...Buffer.alloc(64, 0x11)), '1.2.840.10045.2.1', '1.2.840.10045.3.1.7'),
      derSequence(),
    ]
    for (const spki of odd) {
      await accepts([await leafOf(root, { spki })], [root])
      const ca = await build({ subject: 'odd', isCa: true, spki }, root)
      const below = await build({ ...leafSpec, authorityKeyId: ca.certificate.subjectKeyId }, { ...ca, key: root.key })
      await refuses('key', [below, ca], [root])
      await refuses('key', [below], [ca])
    }
  })

  test('a path of two CAs with one subject is found by the key that signed', async () => {
    const [first, second] = [await build(rootSpec), await build(rootSpec)]
    const leaf = await leafOf(second)
    for (const profile of profiles) {
      for (const anchors of [
        [first, second],
        [second, first],
      ]) {
        assert.equal((await validate([leaf], anchors, { profile }))[1], second.certificate)
      }
    }
    const blind = { subjectKeyId: 'none', authorityKeyId: 'none' } as const
    const [a, b] = [await build({ ...rootSpec, ...blind }), await build({ ...rootSpec, ...blind })]
    await accepts([await build({ ...leafSpec, ...blind }, b)], [a, b], { profile: 'spiffe' })
  })

  test('a certificate that is valid on another path does not fail because of a bad one', async () => {
    const key = intermediate.key
    const twin = (spec: CertificateSpec, issuer: TestIdentity) =>
      build({ subject: 'intermediate', isCa: true, ...spec }, issuer, key)
    const bad = [
      await twin({ notAfter: new Date('2021-01-01T00:00:00Z') }, root),
      await twin({ breakSignature: true }, root),
      await twin({ permitted: ['uri:other.example'] }, root),
      await twin({ pathLength: 0, keyUsage: ['cRLSign'] }, root),
      await twin({}, await build({ ...rootSpec, subject: 'nowhere' })),
    ]
    const leaf = await leafOf(intermediate)
    for (const one of bad) await accepts([leaf, one, intermediate], [root])
    await accepts([leaf, ...bad, intermediate], [root])
    for (const one of bad) await assert.rejects(validate([leaf, one], [root]), PkiError)
  })

  test('the error tells of the path that came farthest, and a name cannot write to the log', async () => {
    const evil = await build(
      { subject: 'x\r\n\u001b[2Jlevel=error "q"\u2028', isCa: true, pathLength: 0, keyUsage: [] },
      root,
    )
    await assert.rejects(validate([await leafOf(evil), evil], [root]), (error: unknown) => {
      assert.ok(error instanceof PkiError)
      assert.match(error.subject ?? '', /^intermediate certificate "CN=x/)
      assert.doesNotMatch(error.message, /[\p{C}\p{Zl}\p{Zp}]/u)
      return true
    })
    const far = await build({ subject: 'far', isCa: true }, await build({ subject: 'nobody', isCa: true }))
    await refuses('no-issuer', [await leafOf(far), far], [root], {}, /"CN=far".*neither presented nor an anchor/)
  })
})

describe('leniencies of the profile spiffe', () => {
  /** For each relaxed rule a path that breaks this rule alone. */
  const cases: Record<keyof typeof pathProfiles.spiffe, () => Promise<[TestIdentity[], TestIdentity[], PathRule]>> = {
    async authorityKeyIdRequired() {
      const root = await build(rootSpec)
      return [[await build({ ...leafSpec, authorityKeyId: 'none' }, root)], [root], 'key-identifier']
    },
    async subjectKeyIdRequired() {
      const root = await build({ ...rootSpec, subjectKeyId: 'none' })
      return [[await build(leafSpec, root)], [root], 'key-identifier']
    },
    async keyIdsMustMatch() {
      const root = await build(rootSpec)
      return [[await build({ ...leafSpec, authorityKeyId: Uint8Array.of(1, 2, 3) }, root)], [root], 'no-issuer']
    },
    async criticalBasicConstraintsRequired() {
      const root = await build({ ...rootSpec, basicConstraints: 'plain' })
      return [[await build(leafSpec, root)], [root], 'critical-extension']
    },
    async criticalNameConstraintsRequired() {
      const root = await build({ ...rootSpec, permitted: ['uri:example.org'], constraintsCritical: false })
      return [[await build(leafSpec, root)], [root], 'critical-extension']
    },
    async anchorSerialNumberChecked() {
      const root = await build({ ...rootSpec, serialNumber: 0n })
      return [[await build(leafSpec, root)], [root], 'serial-number']
    },
    async timeEncodingChecked() {
      const root = await build(rootSpec)
      const { certificate, key } = await build({ ...leafSpec, notAfter: new Date('2051-01-01T00:00:00Z') }, root)
      // The same length and another tag: the year 2051 as it must not be written has no two-digit form, so the beginning is changed.
      assert.equal(certificate.validityEncoding.notAfter, 'generalized')
      return [[await withGeneralizedNotBefore(root, key)], [root], 'validity']
    },
    async nameSyntaxChecked() {
      const root = await build(rootSpec)
      return [
        [await build({ ...leafSpec, names: ['uri:spiffe://example.org/web', 'dns:web_1.example.org'] }, root)],
        [root],
        'name',
      ]
    },
    async strictConstraintSyntax() {
      const root = await build({ ...rootSpec, permitted: ['dns:.example.org'] })
      return [[await build({ ...leafSpec, names: ['dns:web.example.org'] }, root)], [root], 'name-constraints']
    },
  }

  test('each member of PathProfile is strict in rfc5280, relaxed in spiffe, and has its case here', async () => {
    assert.deepEqual(Object.keys(cases).toSorted(), Object.keys(pathProfiles.rfc5280).toSorted())
    for (const [name, make] of Object.entries(cases) as [keyof typeof cases, (typeof cases)['keyIdsMustMatch']][]) {
      assert.equal(pathProfiles.rfc5280[name], true)
      assert.equal(pathProfiles.spiffe[name], false)
      const [chain, anchors, rule] = await make()
      await refuses(rule, chain, anchors, { profile: 'rfc5280' })
      await accepts(chain, anchors, { profile: 'spiffe' })
    }
  })

  test('an intermediate has no leave to break what only anchors may, and relaxed rules still judge names', async () => {
    const root = await build(rootSpec)
    const zero = await build({ subject: 'zero', isCa: true, serialNumber: 0n }, root)
    await refuses('serial-number', [await build(leafSpec, zero), zero], [root])
    const plain = await build({ ...rootSpec, permitted: ['uri:other.example'], constraintsCritical: false })
    await refuses('name-constraints', [await build(leafSpec, plain)], [plain], { profile: 'spiffe' })
    const dotted = await build({ ...rootSpec, permitted: ['dns:.example.org'] })
    await refuses('name-constraints', [await build({ names: ['dns:example.org'] }, dotted)], [dotted], {
      profile: 'spiffe',
    })
    const constrained = await build({ ...rootSpec, permitted: ['dns:example.org'] })
    const odd = await build({ names: ['dns:-.example.org'] }, constrained)
    await refuses('name-constraints', [odd], [constrained], { profile: 'spiffe' }, /cannot be applied/)
  })
})

/** A leaf whose notBefore is a GeneralizedTime although its year is before 2050. */
async function withGeneralizedNotBefore(root: TestIdentity, key: TestIdentity['key']): Promise<TestIdentity> {
  const { certificate } = await build(leafSpec, root, key)
  const { Certificate } = await import('../certificate/certificate.ts')
  const { algorithmFacts } = await import('../keys/algorithms.ts')
  const utc = Buffer.from('170d3230303130313030303030305a', 'hex')
  const generalized = Buffer.from('180f32303230303130313030303030305a', 'hex')
  const at = Buffer.from(certificate.tbs).indexOf(utc)
  assert.ok(at > 0)
  const bytes = Buffer.concat([certificate.tbs.subarray(0, at), generalized, certificate.tbs.subarray(at + utc.length)])
  // Two octets more inside: the sequence of the validity, and the whole.
  bytes[at - 1] = (bytes[at - 1] as number) + 2
  bytes.writeUInt16BE(bytes.readUInt16BE(2) + 2, 2)
  const identifier = algorithmFacts('ecdsa-sha256').identifier
  const signature = await root.key.sign('ecdsa-sha256', bytes)
  return { certificate: Certificate.parse(derSequence(bytes, identifier, derBitString(signature))), key }
}

describe('bounded work', () => {
  const clock = async (work: () => Promise<void>): Promise<number> => {
    let best = Number.POSITIVE_INFINITY
    // The best of a few attempts is the program's time; the others are the machine's.
    for (let attempt = 0; attempt < 4 && best > 50; attempt++) {
      const started = performance.now()
      await work()
      best = Math.min(best, performance.now() - started)
    }
    return best
  }

  test('ADV-18 too many certificates are refused before anything else', async () => {
    const root = await build(rootSpec)
    const leaf = await build(leafSpec, root)
    const chain = Array.from({ length: 200 }, () => leaf)
    assert.ok((await clock(() => refuses('limit', chain, [root], { profile: 'spiffe' }))) < 5)
    assert.equal(defaultPathLimits.maxChainCertificates, 16)
  })

  test('ADV-18 keys that are expensive to use are refused before any signature is checked', async () => {
    const root = await build(rootSpec)
    const modulus = (bytes: number) => Buffer.alloc(bytes, 0xff)
    const e = Uint8Array.of(1, 0, 1)
    for (const spki of [
      rsaSpki(modulus(2048), e),
      rsaSpki(modulus(256), Uint8Array.of(0x7f, 0xff, 0xff, 0xff)),
      rsaSpki(modulus(128), e),
    ]) {
      const heavy = await build({ subject: 'heavy', isCa: true, spki }, root)
      const leaf = await build(
        { ...leafSpec, authorityKeyId: heavy.certificate.subjectKeyId },
        { certificate: heavy.certificate, key: root.key },
      )
      const limits = { maxSignatureChecks: 0 }
      assert.ok((await clock(() => refuses('key', [leaf, heavy], [root], { profile: 'spiffe', limits }))) < 5)
    }
  })

  test('cross-signed CAs without an anchor end', async () => {
    const [a, b] = [await build({ subject: 'a', isCa: true }), await build({ subject: 'b', isCa: true })]
    const loop = [
      a,
      b,
      await build({ subject: 'a', isCa: true }, b, a.key),
      await build({ subject: 'b', isCa: true }, a, b.key),
    ]
    const leaf = await build(leafSpec, a)
    const anchor = await build(rootSpec)
    assert.ok((await clock(() => refuses('no-issuer', [leaf, ...loop], [anchor], { profile: 'spiffe' }))) < 100)
    await accepts([leaf, ...loop], [b])
  })

  test('one subject with many keys ends within 100 ms, the most that is presented and the most that is looked at', async () => {
    const hidden = { subjectKeyId: 'none', authorityKeyId: 'none' } as const
    const top = await build({ subject: 'same', isCa: true, ...hidden })
    const many = await Promise.all(
      Array.from({ length: 100 }, () => build({ subject: 'same', isCa: true, ...hidden }, top)),
    )
    const leaf = await build({ ...leafSpec, ...hidden }, await build({ subject: 'same', isCa: true }))
    const anchor = await build({ subject: 'same', isCa: true, ...hidden })
    const limits = { maxChainCertificates: 101 }
    for (const chain of [many.slice(0, 15), many]) {
      const milliseconds = await clock(async () => {
        await assert.rejects(validate([leaf, ...chain], [anchor], { limits }), PkiError)
      })
      assert.ok(milliseconds < 100, `${milliseconds} ms`)
    }
  })

  test('a bundle of thousands of authorities costs little, even for a peer that makes the search long', async () => {
    const hidden = { subjectKeyId: 'none', authorityKeyId: 'none' } as const
    const top = await build({ subject: 'same', isCa: true, ...hidden })
    const chain = await Promise.all(
      Array.from({ length: 15 }, () => build({ subject: 'same', isCa: true, ...hidden }, top)),
    )
    const { certificate } = await build({ ...leafSpec, ...hidden }, top)
    const other = await build({ ...rootSpec, subject: 'other' })
    const milliseconds = await clock(async () => {
      await assert.rejects(
        validate([{ certificate, key: top.key }, ...chain], Array<TestIdentity>(10_000).fill(other)),
        PkiError,
      )
    })
    assert.ok(milliseconds < 100, `${milliseconds} ms`)
  })

  test('at most 100 signatures are checked', async () => {
    const root = await build({ ...rootSpec, subjectKeyId: 'none' })
    const anchors = await Promise.all(Array.from({ length: 150 }, () => build({ ...rootSpec, subjectKeyId: 'none' })))
    const leaf = await build({ ...leafSpec, authorityKeyId: 'none' }, root)
    await refuses('limit', [leaf], anchors, { profile: 'spiffe' }, /more than 100 signature checks/)
    await accepts([leaf], [...anchors.slice(0, 99), root], { profile: 'spiffe' })
    await refuses('limit', [leaf], [...anchors, root], { profile: 'spiffe' })
    const known = await build(rootSpec)
    await accepts([await build(leafSpec, known)], [...(await Promise.all(anchors.map(() => build(rootSpec)))), known], {
      profile: 'spiffe',
    })
  })

  test('name constraints take time in proportion to constraints plus names', async () => {
    const permitted = Array.from({ length: 900 }, (_, i) => `dns:c${i}.example.org` as const)
    const root = await build({ ...rootSpec, permitted, excluded: ['dns:bad.example'] })
    const leaf = await build(
      { ...leafSpec, names: Array.from({ length: 900 }, (_, i) => `dns:x.c${i}.example.org` as const) },
      root,
    )
    assert.ok((await clock(() => accepts([leaf], [root], { profile: 'spiffe' }))) < 100)
    const more = await build(
      { ...leafSpec, names: Array.from({ length: 1001 }, (_, i) => `dns:c${i % 900}.example.org` as const) },
      root,
    )
    await refuses('limit', [more], [root], { profile: 'spiffe' }, /1001 names under name constraints/)
    const crowded = await build({ ...rootSpec, permitted: [...permitted, ...permitted] })
    await refuses('limit', [await build(leafSpec, crowded)], [crowded], {}, /1800 name constraints/)
  })
})
