import assert from 'node:assert/strict'
import { createHash, randomBytes, verify } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pemEncode } from '@plastron/pki'
import { tempFolder } from '@plastron/runtime/testing'
import { TestAuthority } from '@plastron/spiffe/testing'
import { JoinTokenAttestor } from './join-token.ts'
import { X509PopAttestor } from './x509pop.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

describe('join token', () => {
  test('AGT-NA-014 AGT-BOOT-017 the token is the payload, from the value or a file whose blanks do not count', async () => {
    await using folder = await tempFolder()
    const tokenFile = join(folder.path, 'token')
    await writeFile(tokenFile, '\n  token-1 \n', { mode: 0o600 })
    assert.equal(text((await new JoinTokenAttestor({ token: 't' }).begin()).payload), 't')
    const attestor = new JoinTokenAttestor({ tokenFile })
    assert.equal(text((await attestor.begin()).payload), 'token-1')
    await writeFile(tokenFile, 'token-2')
    assert.equal(text((await attestor.begin()).payload), 'token-2')
  })

  test('AGT-CFG-022 AGT-CFG-023 two sources, an empty file and no token are refused without a word about the token', async () => {
    await using folder = await tempFolder()
    const tokenFile = join(folder.path, 'token')
    await writeFile(tokenFile, ' \n')
    assert.throws(() => new JoinTokenAttestor({ token: 't', tokenFile }), { code: 'ERR_AGENT_CONFIG' })
    await assert.rejects(new JoinTokenAttestor({ tokenFile }).begin(), {
      code: 'ERR_AGENT_JOIN_TOKEN',
      message: /is empty/,
    })
    await assert.rejects(new JoinTokenAttestor({}).begin(), {
      code: 'ERR_AGENT_JOIN_TOKEN',
      message: /join token was not provided/,
    })
    for (const path of [join(folder.path, 'absent'), folder.path]) {
      await assert.rejects(new JoinTokenAttestor({ tokenFile: path }).begin(), { code: 'ERR_AGENT_JOIN_TOKEN' })
    }
    await writeFile(tokenFile, 'x'.repeat(5000))
    await assert.rejects(new JoinTokenAttestor({ tokenFile }).begin(), { message: /5000 bytes/ })
  })

  test('a server that asks a challenge gets no answer', async () => {
    const exchange = await new JoinTokenAttestor({ token: 't' }).begin()
    await assert.rejects(exchange.answer(Buffer.from('x')), { code: 'ERR_AGENT_NODE_ATTESTATION' })
  })
})

describe('x509pop', () => {
  async function files(keyType: 'ec-p256' | 'ec-p384' | 'rsa-2048') {
    const folder = await tempFolder()
    const authority = await TestAuthority.create()
    const { chain, key } = await authority.x509Chain(authority.id('/node'), { keyType, intermediates: 1 })
    const [leaf, intermediate] = chain
    const write = async (name: string, content: string) => {
      await writeFile(join(folder.path, name), content)
      return join(folder.path, name)
    }
    return {
      key,
      leaf: leaf!,
      intermediate: intermediate!,
      privateKeyPath: await write('key.pem', key.toPem()),
      certificatePath: await write('cert.pem', pemEncode('CERTIFICATE', leaf!.der)),
      intermediatesPath: await write('intermediates.pem', pemEncode('CERTIFICATE', intermediate!.der)),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    }
  }

  for (const keyType of ['ec-p256', 'ec-p384', 'rsa-2048'] as const) {
    test(`AGT-NA-025 AGT-NA-026 AGT-NA-028 ${keyType}: the chain is shown and both nonces are signed`, async () => {
      await using f = await files(keyType)
      const exchange = await new X509PopAttestor(f).begin()
      assert.equal(exchange.type, 'x509pop')
      assert.deepEqual(JSON.parse(text(exchange.payload)), {
        certificates: [f.leaf, f.intermediate].map(({ der }) => Buffer.from(der).toString('base64')),
      })
      const theirs = randomBytes(32)
      const member = keyType === 'rsa-2048' ? 'rsa_signature' : 'ecdsa_signature'
      // A Go server writes the other kind as null.
      const challenge = { rsa_signature: null, ecdsa_signature: null, [member]: { nonce: theirs.toString('base64') } }
      const answer = JSON.parse(text(await exchange.answer(Buffer.from(JSON.stringify(challenge)))))[member]
      const nonce = Buffer.from(answer.nonce, 'base64')
      assert.equal(nonce.length, 32)
      const signed = Buffer.concat([theirs, nonce])
      const publicKey = f.key.publicKey.keyObject
      if (keyType === 'rsa-2048') {
        const key = { key: publicKey, padding: 6, saltLength: 32 }
        assert.equal(verify('sha256', signed, key, Buffer.from(answer.signature, 'base64')), true)
      } else {
        const size = keyType === 'ec-p256' ? 32 : 48
        const raw = [answer.r, answer.s].map(part => {
          const bytes = Buffer.from(part, 'base64')
          assert.ok(bytes.length <= size)
          return Buffer.concat([Buffer.alloc(size - bytes.length), bytes])
        })
        assert.equal(verify('sha256', signed, { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.concat(raw)), true)
      }
      assert.notEqual(createHash('sha256').update(signed).digest('hex'), '')
    })
  }

  test('challenges of another kind or shape are refused', async () => {
    await using f = await files('ec-p256')
    const exchange = await new X509PopAttestor(f).begin()
    for (const challenge of [
      '',
      '[]',
      '{}',
      '{"ecdsa_signature":null}',
      '{"ecdsa_signature":{}}',
      '{"ecdsa_signature":{"nonce":"AAAA"}}',
      '{"ecdsa_signature":{"nonce":1}}',
      '{"rsa_signature":{"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}',
      `{"ecdsa_signature":{"nonce":"${'A'.repeat(100_000)}"}}`,
    ]) {
      await assert.rejects(exchange.answer(Buffer.from(challenge)), { code: 'ERR_AGENT_NODE_ATTESTATION' })
    }
  })

  test('files that are absent or do not belong together are named', async () => {
    await using f = await files('ec-p256')
    await using other = await files('ec-p256')
    await assert.rejects(
      new X509PopAttestor({ ...f, privateKeyPath: '/nonexistent' }).begin(),
      /private_key_path \/nonexistent/,
    )
    await assert.rejects(new X509PopAttestor({ ...f, certificatePath: f.privateKeyPath }).begin(), /certificate_path/)
    await assert.rejects(
      new X509PopAttestor({ ...f, privateKeyPath: other.privateKeyPath }).begin(),
      /does not belong to the certificate/,
    )
  })
})
