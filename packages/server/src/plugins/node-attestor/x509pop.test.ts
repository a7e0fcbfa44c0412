import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPublicKey, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { agentV1, svidV1 } from '@plastron/api'
import { Certificate, PrivateKey, pemEncode } from '@plastron/pki'
import { tempFolder } from '@plastron/runtime/testing'
import { attest, newRequest, statusOf, TestServer } from '../../test-server.ts'

/** A PKI made by openssl, as an operator would. */
class OutsidePki {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
    this.root('root')
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  key(name: string, type: 'P-256' | 'P-384' | 'P-521' | 'rsa' | 'ed25519' = 'P-256'): void {
    const kind =
      type === 'rsa'
        ? ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
        : type === 'ed25519'
          ? ['-algorithm', 'ed25519']
          : ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${type}`]
    this.openssl('genpkey', ...kind, '-out', `${name}.key`)
  }

  root(name: string): void {
    this.key(name)
    this.openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      `${name}.key`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '3650',
      '-out',
      `${name}.pem`,
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'keyUsage=critical,keyCertSign',
    )
  }

  /** A certificate below `issuer`; its key is made unless it is there. */
  issue(
    name: string,
    issuer: string,
    options: {
      ext?: string[]
      key?: Parameters<OutsidePki['key']>[1]
      days?: string[]
      pub?: string
      subject?: string
    } = {},
  ): this {
    const {
      ext = ['keyUsage=critical,digitalSignature'],
      key = 'P-256',
      days = ['-days', '30'],
      pub,
      subject = `/CN=${name}`,
    } = options
    this.key(name, key)
    this.openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`)
    writeFileSync(this.path(`${name}.ext`), ext.join('\n'))
    this.openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${issuer}.pem`,
      '-CAkey',
      `${issuer}.key`,
      '-out',
      `${name}.pem`,
      '-extfile',
      `${name}.ext`,
      ...days,
      ...(pub === undefined ? [] : ['-force_pubkey', pub]),
    )
    return this
  }

  ca(name: string, issuer: string): this {
    return this.issue(name, issuer, { ext: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'] })
  }

  certificate(name: string): Certificate {
    const [certificate] = Certificate.parsePem(readFileSync(this.path(`${name}.pem`), 'utf8'))
    return certificate ?? assert.fail()
  }

  privateKey(name: string): PrivateKey {
    return PrivateKey.fromPem(readFileSync(this.path(`${name}.key`), 'utf8'))
  }
}

interface Evidence {
  readonly type: 'x509pop'
  readonly payload: Uint8Array
}

function evidence(...chain: readonly Uint8Array[]): Evidence {
  const certificates = chain.map(der => Buffer.from(der).toString('base64'))
  return { type: 'x509pop', payload: Buffer.from(JSON.stringify({ certificates })) }
}

/** Answers as an agent does: both nonces, signed. */
function answerWith(
  key: PrivateKey,
  change: (response: Record<string, Record<string, string>>) => object = response => response,
) {
  return async (challenge: Uint8Array): Promise<Uint8Array> => {
    const asked = JSON.parse(Buffer.from(challenge).toString())
    const member = key.publicKey.kind === 'rsa' ? 'rsa_signature' : 'ecdsa_signature'
    const theirs = Buffer.from(asked[member]?.nonce ?? '', 'base64')
    const nonce = randomBytes(32)
    const both = Buffer.concat([theirs, nonce])
    const part: Record<string, string> = { nonce: nonce.toString('base64') }
    if (member === 'rsa_signature') {
      part.signature = Buffer.from(await key.sign('rsa-pss-sha256', both)).toString('base64')
    } else {
      const der = Buffer.from(await key.sign('ecdsa-sha256', both))
      const start = der[1] === 0x81 ? 3 : 2
      const rLength = der[start + 1] ?? 0
      const unsigned = (bytes: Buffer) => (bytes[0] === 0 ? bytes.subarray(1) : bytes).toString('base64')
      part.r = unsigned(der.subarray(start + 2, start + 2 + rLength))
      part.s = unsigned(der.subarray(start + 4 + rLength))
    }
    return Buffer.from(JSON.stringify(change({ [member]: part })))
  }
}

describe('x509pop of an outside PKI', () => {
  let server: TestServer
  let pki: OutsidePki
  let folder: Awaited<ReturnType<typeof tempFolder>>
  before(async () => {
    folder = await tempFolder()
    pki = new OutsidePki(folder.path)
    server = await TestServer.start({
      plugins: `NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "${pki.path('root.pem')}" } }`,
    })
    // Certificates that openssl makes are valid from now on, the server's clock stands still.
    await server.clock.advance(60_000)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })
  const agents = () => server.connect().client(agentV1.Agent)
  const refusal = async (code: string, data: Evidence, key?: PrivateKey, pattern?: RegExp) => {
    const error = await statusOf(attest(agents(), data, key === undefined ? {} : { answer: answerWith(key) }))
    assert.equal(error.code, code, error.message)
    if (pattern !== undefined) assert.match(error.message, pattern)
  }

  for (const key of ['P-256', 'P-384', 'P-521', 'rsa'] as const) {
    test(`SRV-PLG-059 SRV-PLG-081 a node with a ${key} key is attested, by its certificate's fingerprint, as often as it likes`, async () => {
      const name = `leaf-${key}`
      pki.ca(`int-${key}`, 'root').issue(name, `int-${key}`, {
        key,
        ext: [
          'keyUsage=critical,digitalSignature',
          'subjectAltName=URI:x509pop://example.org/rack/7/b,URI:x509pop://other.org/rack/8',
        ],
      })
      const leaf = pki.certificate(name)
      const data = evidence(leaf.der, pki.certificate(`int-${key}`).der)
      const { result } = await attest(agents(), data, { answer: answerWith(pki.privateKey(name)) })
      await attest(agents(), data, { answer: answerWith(pki.privateKey(name)) })
      assert.equal(result.reattestable, true)
      const path = result.svid?.id?.path ?? ''
      assert.match(path, /^\/spire\/agent\/x509pop\/[0-9a-f]{40}$/)
      const agent = await server.client(agentV1.Agent).getAgent({ id: { trustDomain: 'example.org', path } })
      const values = agent.selectors.map(({ type, value }) => `${type}:${value}`)
      assert.ok(values.includes(`x509pop:subject:cn:${name}`))
      // The URI of another trust domain says nothing.
      assert.deepEqual(
        values.filter(value => value.startsWith('x509pop:san:')),
        ['x509pop:san:rack:7/b'],
      )
      assert.equal(values.filter(value => value.startsWith('x509pop:ca:fingerprint:')).length, 2)
      assert.ok(
        values.includes(
          `x509pop:serialnumber:${leaf.serialNumber.toString(16).padStart(leaf.serialNumber.toString(16).length + (leaf.serialNumber.toString(16).length % 2), '0')}`,
        ),
      )
      assert.equal(agent.canReattest, true)
    })
  }

  test('SRV-API-052 an agent that can attest again may not renew', async () => {
    pki.issue('renews', 'root')
    const { identity } = await attest(agents(), evidence(pki.certificate('renews').der), {
      answer: answerWith(pki.privateKey('renews')),
    })
    const { csr } = await newRequest()
    const error = await statusOf(server.connect(identity).client(agentV1.Agent).renewAgent({ params: { csr } }))
    assert.equal(error.code, 'PERMISSION_DENIED')
    assert.equal(error.details.length, 1)
  })

  test('SRV-PLG-081 the holder of another key, or of an old answer, is refused', async () => {
    pki.issue('holder', 'root').issue('thief', 'root')
    const data = evidence(pki.certificate('holder').der)
    await refusal('PERMISSION_DENIED', data, pki.privateKey('thief'), /verification failed/)
    let kept: Uint8Array | undefined
    const real = answerWith(pki.privateKey('holder'))
    await attest(agents(), data, {
      answer: async challenge => {
        kept = await real(challenge)
        return kept
      },
    })
    const replayed = await statusOf(attest(agents(), data, { answer: async () => kept ?? assert.fail() }))
    assert.equal(replayed.code, 'PERMISSION_DENIED')
  })

  test('SRV-PLG-081 answers that are no answers are refused', async () => {
    pki.issue('answers', 'root')
    const key = pki.privateKey('answers')
    const data = evidence(pki.certificate('answers').der)
    const zero = Buffer.alloc(32).toString('base64')
    const bad: [string, (response: Record<string, Record<string, string>>) => object][] = [
      ['PERMISSION_DENIED', ({ ecdsa_signature }) => ({ ecdsa_signature: { ...ecdsa_signature, r: zero, s: zero } })],
      ['PERMISSION_DENIED', ({ ecdsa_signature }) => ({ ecdsa_signature: { ...ecdsa_signature, r: '', s: '' } })],
      [
        'PERMISSION_DENIED',
        ({ ecdsa_signature }) => ({ ecdsa_signature: { ...ecdsa_signature, r: Buffer.alloc(600).toString('base64') } }),
      ],
      ['INVALID_ARGUMENT', ({ ecdsa_signature }) => ({ ecdsa_signature: { ...ecdsa_signature, nonce: 'AAAA' } })],
      ['INVALID_ARGUMENT', ({ ecdsa_signature }) => ({ ecdsa_signature: { ...ecdsa_signature, r: '%%' } })],
      ['INVALID_ARGUMENT', ({ ecdsa_signature }) => ({ rsa_signature: ecdsa_signature })],
      ['INVALID_ARGUMENT', () => ({})],
      ['INVALID_ARGUMENT', () => ({ ecdsa_signature: null })],
      ['INVALID_ARGUMENT', () => ({ ecdsa_signature: 'x'.repeat(100_000) })],
    ]
    for (const [code, change] of bad) {
      const error = await statusOf(attest(agents(), data, { answer: answerWith(key, change) }))
      assert.equal(error.code, code, `${String(change)}: ${error.message}`)
    }
    const text = await statusOf(
      attest(agents(), data, { answer: async () => Buffer.from('{"ecdsa_signature":{"nonce"') }),
    )
    assert.equal(text.code, 'INVALID_ARGUMENT')
  })

  test('SRV-PLG-081 certificates of others, not for signatures or with strange keys are refused', async () => {
    pki.root('stranger')
    pki.issue('foreign', 'stranger')
    await refusal(
      'PERMISSION_DENIED',
      evidence(pki.certificate('foreign').der),
      pki.privateKey('foreign'),
      /verification failed/,
    )
    // Its own root along with it makes it no better.
    await refusal('PERMISSION_DENIED', evidence(pki.certificate('foreign').der, pki.certificate('stranger').der))
    pki.issue('enciphers', 'root', { ext: ['keyUsage=critical,keyEncipherment'] })
    await refusal('PERMISSION_DENIED', evidence(pki.certificate('enciphers').der), undefined, /digital signature/)
    pki.issue('usageless', 'root', { ext: ['basicConstraints=CA:FALSE'] })
    await refusal('PERMISSION_DENIED', evidence(pki.certificate('usageless').der), undefined, /digital signature/)
    pki.issue('edwards', 'root', { key: 'ed25519' })
    await refusal(
      'PERMISSION_DENIED',
      evidence(pki.certificate('edwards').der),
      undefined,
      /not supported|not accepted/,
    )
    // A leaf that signs another leaf.
    pki.issue('parent', 'root').issue('child', 'parent')
    await refusal('PERMISSION_DENIED', evidence(pki.certificate('child').der, pki.certificate('parent').der))
  })

  test('ADV-18 many intermediates and huge keys are refused before a signature is checked', async () => {
    pki.issue('bounded', 'root')
    const leaf = pki.certificate('bounded').der
    const chain = Array.from({ length: 5 }, () => leaf)
    const cpu = process.cpuUsage()
    await refusal('PERMISSION_DENIED', evidence(leaf, ...chain), undefined, /too many certificates: 6, at most 5/)
    await refusal(
      'PERMISSION_DENIED',
      evidence(...Array.from({ length: 300 }, () => leaf.subarray(0, 8))),
      undefined,
      /too many/,
    )
    await refusal('INVALID_ARGUMENT', { type: 'x509pop', payload: Buffer.alloc(250_000, '[') })
    assert.ok(process.cpuUsage(cpu).user < 500_000)
    const modulus = randomBytes(2048)
    modulus[0] = 0xff
    modulus[2047] = 0xff
    const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }
    const spki = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' })
    writeFileSync(pki.path('huge.pub'), pemEncode('PUBLIC KEY', spki))
    pki.issue('huge', 'root', { pub: 'huge.pub' })
    await refusal('PERMISSION_DENIED', evidence(pki.certificate('huge').der), undefined, /not accepted|larger than/)
  })

  test('SRV-PLG-081 certificates that ended are refused', async () => {
    pki.issue('expired', 'root', { days: ['-days', '1'] })
    await server.clock.setWallTime(new Date(Date.now() + 2 * 86_400_000))
    await refusal(
      'PERMISSION_DENIED',
      evidence(pki.certificate('expired').der),
      undefined,
      /ended|expired|not valid after/,
    )
  })

  test('evidence that cannot be read is refused', async () => {
    for (const payload of [
      'x',
      '{}',
      '[]',
      '{"certificates":[]}',
      '{"certificates":[1]}',
      '{"certificates":["AAAA"]}',
      '{"certificates":["AAAA"],"certificates":[]}',
    ])
      await refusal('INVALID_ARGUMENT', { type: 'x509pop', payload: Buffer.from(payload) })
  })
})

describe('x509pop that looks at addresses', () => {
  test('SRV-PLG-081 verify_client_ip lets in only the addresses of the certificate', async () => {
    await using folder = await tempFolder()
    const pki = new OutsidePki(folder.path)
    const ext = (ip: string) => ['keyUsage=critical,digitalSignature', `subjectAltName=IP:${ip}`]
    pki.issue('here', 'root', { ext: ext('127.0.0.1') }).issue('there', 'root', { ext: ext('192.0.2.1') })
    await using server = await TestServer.start({
      plugins: `NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "${pki.path('root.pem')}" verify_client_ip = true max_intermediates = 1 max_rsa_key_size = 2048 } }`,
    })
    await server.clock.advance(60_000)
    const by = (name: string) =>
      attest(server.connect().client(agentV1.Agent), evidence(pki.certificate(name).der), {
        answer: answerWith(pki.privateKey(name)),
      })
    await by('here')
    const error = await statusOf(by('there'))
    assert.equal(error.code, 'PERMISSION_DENIED')
    assert.match(error.message, /127\.0\.0\.1/)
  })
})

describe('x509pop of the trust domain itself', () => {
  test('SRV-PLG-059 SRV-PLG-081 ADV-06 an SVID below the prefix names the agent, others do not', async () => {
    await using server = await TestServer.start({
      plugins: 'NodeAttestor "x509pop" { plugin_data { mode = "spiffe" } }',
    })
    const by = async (path: string) => {
      const { key, csr } = await newRequest({ uris: [`spiffe://example.org${path}`] })
      const { svid } = await server.client(svidV1.SVID).mintX509SVID({ csr })
      return attest(server.connect().client(agentV1.Agent), evidence(...(svid?.certChain ?? [])), {
        answer: answerWith(key),
      })
    }
    const { result } = await by('/spire-exchange/rack/7')
    assert.equal(result.svid?.id?.path, '/spire/agent/x509pop/rack/7')
    for (const path of [
      '/other/rack',
      '/spire-exchange',
      '/spire-exchanger/x',
      `/spire-exchange/${'x'.repeat(2010)}`,
    ]) {
      const error = await statusOf(by(path))
      assert.equal(error.code, 'PERMISSION_DENIED', path)
    }
    await using folder = await tempFolder()
    const pki = new OutsidePki(folder.path)
    pki.issue('outside', 'root', {
      ext: ['keyUsage=critical,digitalSignature', 'subjectAltName=URI:spiffe://example.org/spire-exchange/a'],
    })
    const error = await statusOf(
      attest(server.connect().client(agentV1.Agent), evidence(pki.certificate('outside').der), {
        answer: answerWith(pki.privateKey('outside')),
      }),
    )
    assert.equal(error.code, 'PERMISSION_DENIED')
  })
})
