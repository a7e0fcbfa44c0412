import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, chown, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { describeKeyManagerContract } from './contract.ts'
import { DiskKeyManager } from './disk.ts'
import { KeyManagerError } from './key-manager.ts'
import { MemoryKeyManager } from './memory.ts'

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'plastron-keys-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

describeKeyManagerContract('memory', async () => {
  const manager = new MemoryKeyManager()
  return { manager, [Symbol.asyncDispose]: () => manager[Symbol.asyncDispose]() }
})

describeKeyManagerContract('disk', async () => {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'keys.json')
  const manager = await DiskKeyManager.open(path)
  return {
    manager,
    reopen: () => DiskKeyManager.open(path),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
})

test('SRV-PLG-031 C53-5 the key file is 0600 and its folder 0700, whatever the umask', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'new', 'keys.json')
  // The umask is the whole process's: another one takes part.
  const module = new URL('disk.ts', import.meta.url).href
  const script = `const { DiskKeyManager } = await import(${JSON.stringify(module)})
    await (await DiskKeyManager.open(${JSON.stringify(path)})).generateKey('A', 'ec-p256')`
  const command = 'umask 000; exec "$0" --input-type=module -e "$1"'
  await promisify(execFile)('sh', ['-c', command, process.execPath, script])
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(join(folder.path, 'new'))).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(join(folder.path, 'new')), ['keys.json'])
})

test('a key file damaged at any place is refused by name and left as it is', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'keys.json')
  await (await DiskKeyManager.open(path)).generateKey('A', 'ec-p256')
  const good = await readFile(path)
  for (const bad of [
    ...Array.from({ length: 20 }, (_, part) => good.subarray(0, Math.floor((good.length * part) / 20))),
    Buffer.from(good.toString().replace(/"A"/, '"B"')),
    Buffer.concat([good, Buffer.from('x')]),
    Buffer.from(good.toString().replace('"version": 1', '"version": 2')),
  ]) {
    await writeFile(path, bad, { mode: 0o600 })
    await assert.rejects(
      DiskKeyManager.open(path),
      (error: unknown) =>
        error instanceof KeyManagerError && error.code === 'ERR_KEY_CORRUPT' && error.message.includes(path),
    )
    assert.deepEqual(await readFile(path), bad)
  }
})

test('a key file of SPIRE is refused with the reason', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'keys.json')
  await writeFile(path, '{"keys":{"x509-CA-A":"MHcCAQEE"}}', { mode: 0o600 })
  await assert.rejects(DiskKeyManager.open(path), /was written by SPIRE/)
})

test('S3 a key that cannot be written is not handed out, and the old one stays', async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'home')
  const path = join(home, 'keys.json')
  const manager = await DiskKeyManager.open(path)
  const old = await manager.generateKey('A', 'ec-p256')
  // Stops root too.
  await rename(home, join(folder.path, 'away'))
  await writeFile(home, '')
  await assert.rejects(
    manager.generateKey('A', 'ec-p256'),
    (error: unknown) => error instanceof KeyManagerError && error.code === 'ERR_KEY_STORAGE',
  )
  assert.ok((await manager.getKey('A'))?.signer.publicKey.equals(old.signer.publicKey))
  await rm(home)
  await rename(join(folder.path, 'away'), home)
  assert.ok((await (await DiskKeyManager.open(path)).getKey('A'))?.signer.publicKey.equals(old.signer.publicKey))
  const next = await manager.generateKey('A', 'ec-p256')
  assert.ok((await (await DiskKeyManager.open(path)).getKey('A'))?.signer.publicKey.equals(next.signer.publicKey))
})

test('S2 a key file that others can read, or that is another user’s, is refused', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'keys.json')
  await (await DiskKeyManager.open(path)).generateKey('A', 'ec-p256')
  const isRefused = (pattern: RegExp) =>
    assert.rejects(
      DiskKeyManager.open(path),
      (error: unknown) =>
        error instanceof KeyManagerError && error.code === 'ERR_KEY_STORAGE' && pattern.test(error.message),
    )
  for (const mode of [0o644, 0o640, 0o620, 0o602]) {
    await chmod(path, mode)
    await isRefused(/open to other users/)
  }
  await chmod(path, 0o600)
  assert.ok(await (await DiskKeyManager.open(path)).getKey('A'))
  // Only root can give a file away.
  if (process.geteuid?.() === 0) {
    await chown(path, 65_534, 65_534)
    await isRefused(/belongs to user 65534/)
  }
})
