import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempFolder } from '@plastron/runtime/testing'
import { DiskKeyManager } from './disk.ts'
import { keyManagerContract } from './key-manager-contract.ts'
import { MemoryKeyManager } from './memory.ts'

const now = new Date('2026-01-01T00:00:00Z')

keyManagerContract('memory', async () => {
  const manager = new MemoryKeyManager()
  return { manager, [Symbol.asyncDispose]: () => manager[Symbol.asyncDispose]() }
})

keyManagerContract('disk', async () => {
  const folder = await tempFolder()
  const { manager } = await DiskKeyManager.open(join(folder.path, 'keys'), now)
  return {
    manager,
    async [Symbol.asyncDispose]() {
      await manager[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
})

test('AGT-KM-002 keys in memory do not outlive the process', async () => {
  await using manager = new MemoryKeyManager()
  assert.equal(manager.persistent, false)
})

test('AGT-KM-001 keys on disk are there after a restart, in a private file of a private folder', async () => {
  await using folder = await tempFolder()
  const directory = join(folder.path, 'a/keys')
  const { manager } = await DiskKeyManager.open(directory, now)
  assert.equal(manager.persistent, true)
  const key = await manager.generateKey('agent-svid-A', 'ec-p256')
  await manager[Symbol.asyncDispose]()
  const { manager: again, setAside } = await DiskKeyManager.open(directory, now)
  assert.equal(setAside, undefined)
  assert.ok((await again.getKey('agent-svid-A'))?.privateKey.publicKey.equals(key.privateKey.publicKey))
  assert.equal((await stat(directory)).mode & 0o777, 0o700)
  assert.equal((await stat(join(directory, 'plastron-agent-keys.json'))).mode & 0o777, 0o600)
})

test('AGT-KM-001 a folder that cannot be used is refused by name', async () => {
  await using folder = await tempFolder()
  await writeFile(join(folder.path, 'file'), '')
  await assert.rejects(DiskKeyManager.open(join(folder.path, 'file/keys'), now), {
    code: 'ERR_AGENT_STORAGE',
    message: /file\/keys cannot be used/,
  })
})

test('F6 a damaged key file is set aside and no key in it is used', async () => {
  await using folder = await tempFolder()
  const file = join(folder.path, 'plastron-agent-keys.json')
  const { manager } = await DiskKeyManager.open(folder.path, now)
  await manager.generateKey('a', 'ec-p256')
  const whole = await readFile(file)
  for (let at = 0; at < whole.length - 1; at += 23) {
    const damaged = Buffer.from(whole)
    damaged[at]! ^= 0x04
    await writeFile(file, damaged)
    const opened = await DiskKeyManager.open(folder.path, now).catch(error => error.code as string)
    if (typeof opened === 'string') assert.equal(opened, 'ERR_AGENT_STORAGE')
    else assert.deepEqual([!!opened.setAside, await opened.manager.listKeys()], [true, []])
  }
  await mkdir(file, { recursive: true }).catch(() => undefined)
})

test('a key file of SPIRE beside ours is left alone', async () => {
  await using folder = await tempFolder()
  await writeFile(join(folder.path, 'keys.json'), '{"keys":{}}')
  const { manager } = await DiskKeyManager.open(folder.path, now)
  await manager.generateKey('a', 'ec-p256')
  assert.equal(await readFile(join(folder.path, 'keys.json'), 'utf8'), '{"keys":{}}')
})
