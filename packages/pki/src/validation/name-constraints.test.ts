import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Name } from '../certificate/name.ts'
import { derUtf8 } from '../der/writer.ts'
import { build, type CertificateSpec, type NameText, type TestIdentity } from '../testing/certificate-builder.ts'
import { checkNames, compileConstraints } from './name-constraints.ts'

const issuerKey = await build({ subject: 'key', isCa: true })

async function verdict(ca: CertificateSpec, leaf: CertificateSpec, strict = true): Promise<string> {
  const { key } = issuerKey
  const { certificate } = await build({ subject: 'ca', isCa: true, ...ca }, undefined, key)
  const constraints = compileConstraints(certificate, { strict, maxNames: 1000 })
  assert.ok(constraints !== undefined)
  if ('rule' in constraints) return 'malformed'
  const below = await build({ subject: 'leaf', ...leaf }, { certificate, key } satisfies TestIdentity, key)
  const failure = checkNames(below.certificate, constraints, 1000)
  if (failure === undefined) return 'allowed'
  assert.equal(failure.rule, 'name-constraints')
  return failure.text.includes('exclude') ? 'excluded' : failure.text.includes('outside') ? 'outside' : 'inapplicable'
}

type Row = [base: NameText, name: NameText, permitted: string, excluded: string]

/** What a constraint says of a name when it is the only permitted one, and when it is excluded. */
async function table(rows: readonly Row[]): Promise<void> {
  for (const [base, name, permitted, excluded] of rows) {
    const leaf = { names: [name] }
    assert.equal(await verdict({ permitted: [base] }, leaf), permitted, `${name} where ${base} is permitted`)
    assert.equal(await verdict({ excluded: [base] }, leaf), excluded, `${name} where ${base} is excluded`)
  }
}

describe('name constraints', () => {
  test('STD-X5-010 URI names: a host is one host, a leading dot means every host below', async () => {
    await table([
      ['uri:example.org', 'uri:spiffe://example.org/web', 'allowed', 'excluded'],
      ['uri:example.org', 'uri:spiffe://example.org', 'allowed', 'excluded'],
      ['uri:example.org', 'uri:SPIFFE://EXAMPLE.org/web', 'allowed', 'excluded'],
      ['uri:EXAMPLE.ORG', 'uri:spiffe://example.org/web', 'allowed', 'excluded'],
      ['uri:example.org', 'uri:spiffe://prod.example.org/web', 'outside', 'allowed'],
      ['uri:example.org', 'uri:spiffe://notexample.org/web', 'outside', 'allowed'],
      ['uri:example.org', 'uri:spiffe://example.org.evil.net/web', 'outside', 'allowed'],
      ['uri:example.org', 'uri:spiffe://evil.net/example.org', 'outside', 'allowed'],
      ['uri:example.org', 'uri:spiffe://evil.net?@example.org/', 'outside', 'allowed'],
      ['uri:example.org', 'uri:spiffe://evil.net#@example.org/', 'outside', 'allowed'],
      ['uri:.example.org', 'uri:spiffe://prod.example.org/web', 'allowed', 'excluded'],
      ['uri:.example.org', 'uri:spiffe://a.b.example.org/web', 'allowed', 'excluded'],
      ['uri:.example.org', 'uri:spiffe://example.org/web', 'outside', 'allowed'],
      ['uri:.example.org', 'uri:spiffe://xexample.org/web', 'outside', 'allowed'],
      ['uri:example.org', 'uri:https://user:pw@example.org:8443/x', 'allowed', 'excluded'],
      ['uri:example.org', 'uri:spiffe://example.org@evil.net/x', 'outside', 'allowed'],
      ['uri:', 'uri:spiffe://example.org/web', 'allowed', 'excluded'],
      ['uri:domain_1.test', 'uri:spiffe://domain_1.test/web', 'allowed', 'excluded'],
    ])
  })

  test('URI names without host name cannot be judged and are refused, with zone identifiers too', async () => {
    const odd: NameText[] = [
      'uri:urn:uuid:1',
      'uri:spiffe:///web',
      'uri:spiffe://',
      'uri:spiffe://192.0.2.1/web',
      'uri:spiffe://[2001:db8::1]/web',
      'uri:spiffe://[fe80::1%25.example.org]/web',
      'uri:spiffe://[::1%25example.org]',
      'uri:spiffe://exa mple.org/web',
      'uri:spiffe://example..org/web',
      'uri:spiffe://example.org./web',
      'uri:spiffe://%65xample.org/web',
      'uri:example.org',
    ]
    for (const name of odd) {
      assert.equal(await verdict({ permitted: ['uri:example.org'] }, { names: [name] }), 'inapplicable', name)
      assert.equal(await verdict({ excluded: ['uri:example.org'] }, { names: [name] }), 'inapplicable', name)
      assert.equal(await verdict({ excluded: ['dns:example.org'] }, { names: [name] }), 'allowed', name)
    }
  })

  test('DNS names: a constraint covers the name and all below it, whatever the case', async () => {
    await table([
      ['dns:example.org', 'dns:example.org', 'allowed', 'excluded'],
      ['dns:example.org', 'dns:a.b.example.org', 'allowed', 'excluded'],
      ['dns:example.org', 'dns:EXAMPLE.Org', 'allowed', 'excluded'],
      ['dns:EXAMPLE.org', 'dns:web.example.ORG', 'allowed', 'excluded'],
      ['dns:example.org', 'dns:notexample.org', 'outside', 'allowed'],
      ['dns:example.org', 'dns:org', 'outside', 'allowed'],
      ['dns:', 'dns:anything.test', 'allowed', 'excluded'],
      ['dns:example.org', 'dns:', 'inapplicable', 'inapplicable'],
      ['dns:example.org', 'dns:.example.org', 'inapplicable', 'inapplicable'],
      ['dns:example.org', 'dns:example.org.', 'inapplicable', 'inapplicable'],
      ['dns:example.org', 'dns:192.0.2.1', 'inapplicable', 'inapplicable'],
      ['dns:example.org', 'dns:a*.example.org', 'inapplicable', 'inapplicable'],
    ])
  })

  test('a wildcard is allowed if all it stands for is, and excluded if anything it stands for is', async () => {
    await table([
      ['dns:example.org', 'dns:*.example.org', 'allowed', 'excluded'],
      ['dns:example.org', 'dns:*.sub.example.org', 'allowed', 'excluded'],
      ['dns:bar.example.org', 'dns:*.example.org', 'outside', 'excluded'],
      ['dns:a.bar.example.org', 'dns:*.example.org', 'outside', 'allowed'],
      ['dns:example.org', 'dns:*.org', 'outside', 'excluded'],
      ['dns:example.org', 'dns:*.example.net', 'outside', 'allowed'],
      ['dns:', 'dns:*.example.net', 'allowed', 'excluded'],
    ])
  })

  test('e-mail names: mailbox, host or domain; an exclusion does not see case, a permission does in the mailbox', async () => {
    await table([
      ['email:a@example.org', 'email:a@example.org', 'allowed', 'excluded'],
      ['email:a@example.org', 'email:a@EXAMPLE.org', 'allowed', 'excluded'],
      ['email:a@example.org', 'email:A@example.org', 'outside', 'excluded'],
      ['email:a@example.org', 'email:b@example.org', 'outside', 'allowed'],
      ['email:example.org', 'email:anyone@example.org', 'allowed', 'excluded'],
      ['email:example.org', 'email:anyone@sub.example.org', 'outside', 'allowed'],
      ['email:.example.org', 'email:anyone@sub.example.org', 'allowed', 'excluded'],
      ['email:.example.org', 'email:anyone@example.org', 'outside', 'allowed'],
      ['email:example.org', 'email:a@b@example.org', 'inapplicable', 'inapplicable'],
      ['email:example.org', 'email:example.org', 'inapplicable', 'inapplicable'],
      ['email:', 'email:a@example.org', 'allowed', 'excluded'],
    ])
  })

  test('e-mail addresses inside the subject are names, too', async () => {
    const subject = Name.create([{ type: '1.2.840.113549.1.9.1', value: 'a@evil.net' }])
    assert.equal(await verdict({ permitted: ['email:example.org'] }, { subject }), 'outside')
    assert.equal(
      await verdict({ excluded: ['email:evil.net'] }, { subject, names: ['email:a@example.org'] }),
      'excluded',
    )
  })

  test('IP addresses lie in networks of their own version', async () => {
    await table([
      ['ip:c0000200ffffff00', 'ip:c00002ff', 'allowed', 'excluded'],
      ['ip:c0000200ffffff00', 'ip:c0000301', 'outside', 'allowed'],
      ['ip:c0000280ffffff80', 'ip:c000027f', 'outside', 'allowed'],
      ['ip:0000000000000000', 'ip:c0000201', 'allowed', 'excluded'],
      ['ip:c0000201ffffffff', 'ip:c0000201', 'allowed', 'excluded'],
      [
        `ip:20010db8${'00'.repeat(12)}ffffffff${'00'.repeat(12)}`,
        `ip:20010db8${'01'.repeat(12)}`,
        'allowed',
        'excluded',
      ],
      [`ip:${'00'.repeat(32)}`, 'ip:c0000201', 'outside', 'allowed'],
      ['ip:c0000200ffff00ff', 'ip:c0000201', 'malformed', 'malformed'],
    ])
  })

  test('directory names: a prefix of the name, compared without case and spaces, subject included', async () => {
    const subject = (...values: string[]) => Name.create(values.map(value => ({ type: 'O', value })))
    await table([
      ['dir:Example', 'dir:example', 'outside', 'excluded'],
      ['dir:leaf', 'dir:LEAF', 'allowed', 'excluded'],
    ])
    assert.equal(await verdict({ permitted: ['dir:a b'] }, { subject: 'A   B ' }), 'allowed')
    assert.equal(await verdict({ excluded: ['dir:a b'] }, { subject: 'A   B ' }), 'excluded')
    assert.equal(await verdict({ excluded: ['dir:straße'] }, { subject: 'STRASSE' }), 'excluded')
    const spelled = Name.parse(
      Name.create([{ type: 'CN', value: 'abc' }]).der.map(octet => (octet === 0x13 ? 0x0c : octet)),
    )
    assert.deepEqual(spelled.rdns[0]?.[0]?.encodedValue, derUtf8('abc'))
    assert.equal(await verdict({ excluded: ['dir:abc'] }, { subject: spelled }), 'excluded')
    assert.equal(await verdict({ excluded: ['dir:abc'] }, { subject: subject('abc') }), 'allowed')
    const longer = Name.create([
      { type: 'CN', value: 'a' },
      { type: 'O', value: 'b' },
    ])
    assert.equal(await verdict({ permitted: ['dir:a'] }, { subject: longer }), 'allowed')
    assert.equal(await verdict({ permitted: ['dir:b'] }, { subject: longer }), 'outside')
    assert.equal(
      await verdict({ permitted: ['dir:a'] }, { subject: '', names: ['dns:x'], namesCritical: true }),
      'allowed',
    )
  })

  test('malformed constraints refuse the CA, or in the profile spiffe only names of their kind', async () => {
    for (const base of [
      'dns:*.example.org',
      'dns:exa mple.org',
      'uri:http://x',
      'uri:192.0.2.1',
      'email:a@b@c',
    ] as const) {
      const kind = base.slice(0, base.indexOf(':'))
      assert.equal(await verdict({ permitted: [base] }, {}), 'malformed', base)
      const name: NameText = kind === 'dns' ? 'dns:a.test' : kind === 'uri' ? 'uri:spiffe://a.test' : 'email:a@b.test'
      assert.equal(await verdict({ permitted: [base] }, { names: [name] }, false), 'inapplicable', base)
      assert.equal(await verdict({ excluded: [base] }, { names: [name] }, false), 'inapplicable', base)
      assert.equal(await verdict({ permitted: [base] }, { names: ['ip:c0000201'] }, false), 'allowed', base)
    }
  })

  test('the look-up agrees with comparing every constraint with every name', async () => {
    const label = fc.constantFrom('a', 'b', 'A', 'x1')
    const host = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
    const dns = fc.tuple(fc.boolean(), host).map(([wildcard, name]) => (wildcard ? `*.${name}` : name))
    const below = (name: string, base: string) =>
      name.toLowerCase() === base.toLowerCase() || name.toLowerCase().endsWith(`.${base.toLowerCase()}`)
    await fc.assert(
      fc.asyncProperty(
        fc.array(host, { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        dns,
        async (bases, exclude, name) => {
          const list = bases.map((base): NameText => `dns:${base}`)
          const got = await verdict(exclude ? { excluded: list } : { permitted: list }, { names: [`dns:${name}`] })
          // A wildcard stands for one label: the labels of the constraints, and one that none of them has.
          const meant = name.startsWith('*.') ? ['a', 'b', 'x1', 'other'].map(first => first + name.slice(1)) : [name]
          const inside = meant.map(one => bases.some(base => below(one, base)))
          const expected = exclude
            ? inside.some(Boolean)
              ? 'excluded'
              : 'allowed'
            : inside.every(Boolean)
              ? 'allowed'
              : 'outside'
          assert.equal(got, expected)
        },
      ),
      { numRuns: 300 },
    )
  })
})
