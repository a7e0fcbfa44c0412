import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { KeyManager } from './key-manager.ts'

/** What every key manager of the agent has to do. `open` makes a new one with the same place to store keys at every call. */
export function keyManagerContract(name: string, open: () => Promise<{ manager: KeyManager } & AsyncDisposable>): void {
  describe(`key manager ${name}`, () => {
    test('AGT-KM-003 makes keys of every type that agents use, and they sign', async () => {
      await using house = await open()
      for (const type of ['ec-p256', 'ec-p384', 'rsa-2048'] as const) {
        const { id, privateKey } = await house.manager.generateKey(type, type)
        assert.equal(id, type)
        const algorithm = type.startsWith('rsa') ? 'rsa-sha256' : 'ecdsa-sha256'
        const data = Buffer.from('data')
        assert.equal(await privateKey.publicKey.verify(algorithm, data, await privateKey.sign(algorithm, data)), true)
      }
      assert.deepEqual(
        (await house.manager.listKeys()).map(({ id }) => id),
        ['ec-p256', 'ec-p384', 'rsa-2048'],
      )
    })

    test('AGT-KM-004 an empty id and an unknown type are refused; an unknown key is absent', async () => {
      await using house = await open()
      await assert.rejects(house.manager.generateKey('', 'ec-p256'), { code: 'ERR_AGENT_KEY_ID' })
      await assert.rejects(house.manager.getKey(''), { code: 'ERR_AGENT_KEY_ID' })
      await assert.rejects(house.manager.generateKey('a', 'ed25519'), { code: 'ERR_AGENT_KEY_TYPE' })
      await assert.rejects(house.manager.generateKey('a', '' as never), { code: 'ERR_AGENT_KEY_TYPE' })
      assert.equal(await house.manager.getKey('a'), undefined)
      assert.deepEqual(await house.manager.listKeys(), [])
    })

    test('a new key takes the place of the old one under its id, and of no other', async () => {
      await using house = await open()
      const [a, b] = await Promise.all([
        house.manager.generateKey('a', 'ec-p256'),
        house.manager.generateKey('b', 'ec-p256'),
      ])
      const again = await house.manager.generateKey('a', 'ec-p256')
      assert.equal(again.privateKey.publicKey.equals(a.privateKey.publicKey), false)
      assert.ok((await house.manager.getKey('a'))?.privateKey.publicKey.equals(again.privateKey.publicKey))
      assert.ok((await house.manager.getKey('b'))?.privateKey.publicKey.equals(b.privateKey.publicKey))
    })
  })
}
