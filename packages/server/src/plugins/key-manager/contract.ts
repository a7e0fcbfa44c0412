import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type KeyManager, KeyManagerError, managedKeyTypes } from './key-manager.ts'

/** What every server key manager must do. `reopen` gives the same manager after a restart, for those that keep keys. */
export function describeKeyManagerContract(
  name: string,
  open: () => Promise<{ manager: KeyManager; reopen?: () => Promise<KeyManager> } & AsyncDisposable>,
): void {
  const data = Buffer.from('signed')
  const algorithmOf = (kind: string) =>
    kind === 'ec-p384' ? 'ecdsa-sha384' : kind === 'rsa' ? 'rsa-sha256' : 'ecdsa-sha256'

  describe(`key manager ${name}`, () => {
    test('SRV-PLG-030 SRV-PLG-031 makes keys of every type that sign for their public key', async () => {
      await using opened = await open()
      for (const type of managedKeyTypes) {
        const { id, signer } = await opened.manager.generateKey(`key-${type}`, type)
        assert.equal(id, `key-${type}`)
        const algorithm = algorithmOf(signer.publicKey.kind)
        const signature = await signer.sign(algorithm, data)
        assert.equal(await signer.publicKey.verify(algorithm, data, signature), true)
      }
      assert.deepEqual(
        (await opened.manager.listKeys()).map(({ id }) => id),
        managedKeyTypes.map(type => `key-${type}`).toSorted(),
      )
    })

    test('gives back the key of an id, and nothing for an unknown one', async () => {
      await using opened = await open()
      const made = await opened.manager.generateKey('A', 'ec-p256')
      assert.ok((await opened.manager.getKey('A'))?.signer.publicKey.equals(made.signer.publicKey))
      assert.equal(await opened.manager.getKey('B'), undefined)
    })

    test('replaces the key of an id', async () => {
      await using opened = await open()
      const first = await opened.manager.generateKey('A', 'ec-p256')
      const second = await opened.manager.generateKey('A', 'ec-p256')
      assert.equal(first.signer.publicKey.equals(second.signer.publicKey), false)
      assert.ok((await opened.manager.getKey('A'))?.signer.publicKey.equals(second.signer.publicKey))
      assert.equal((await opened.manager.listKeys()).length, 1)
    })

    test('refuses an empty id and a type that it cannot make', async () => {
      await using opened = await open()
      const code = (expected: string) => (error: unknown) => error instanceof KeyManagerError && error.code === expected
      await assert.rejects(opened.manager.generateKey('', 'ec-p256'), code('ERR_KEY_ID'))
      await assert.rejects(opened.manager.getKey(''), code('ERR_KEY_ID'))
      await assert.rejects(opened.manager.generateKey('A', 'ed25519'), code('ERR_KEY_TYPE'))
      assert.deepEqual(await opened.manager.listKeys(), [])
    })

    test('keeps all keys of concurrent calls', async () => {
      await using opened = await open()
      const ids = Array.from({ length: 10 }, (_, index) => `key-${index}`)
      await Promise.all(ids.map(id => opened.manager.generateKey(id, 'ec-p256')))
      assert.equal((await opened.manager.listKeys()).length, ids.length)
      if (opened.reopen) assert.equal((await (await opened.reopen()).listKeys()).length, ids.length)
    })
  })
}
