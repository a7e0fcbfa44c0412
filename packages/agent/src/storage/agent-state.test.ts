import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { tempFolder } from '@plastron/runtime/testing'
import { TrustDomain } from '@plastron/spiffe'
import { TestAuthority } from '@plastron/spiffe/testing'
import { AgentState } from './agent-state.ts'

const td = TrustDomain.parse('example.org')
const now = new Date('2026-01-01T00:00:00Z')

async function filled(folder: string) {
  const authority = await TestAuthority.create()
  const { chain } = await authority.x509Chain(authority.id('/spire/agent/x'))
  const { state } = await AgentState.open(folder, td, now)
  await state.update({ svid: { chain, reattestable: true, keyId: 'agent-svid-A' }, bundle: authority.bundle() })
  return { file: join(folder, 'plastron-agent.json'), authority, chain }
}

describe('agent state', () => {
  test('AGT-DISK-002 AGT-DISK-003 what was stored is there again', async () => {
    await using folder = await tempFolder()
    const { authority, chain } = await filled(folder.path)
    const { state, setAside } = await AgentState.open(folder.path, td, now)
    assert.equal(setAside, undefined)
    assert.ok(state.content.bundle?.equals(authority.bundle()))
    assert.ok(state.content.svid?.chain[0]?.equals(chain[0]!))
    assert.equal(state.content.svid?.reattestable, true)
    assert.equal(state.content.svid?.keyId, 'agent-svid-A')
  })

  test('AGT-DISK-001 the file is private whatever the umask, and no temporary file is left', async () => {
    await using folder = await tempFolder()
    const { file } = await filled(folder.path)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(folder.path), ['plastron-agent.json'])
    await writeFile(join(folder.path, '.plastron-agent.json.0123456789ab.tmp'), 'half')
    await chmod(file, 0o644)
    await AgentState.open(folder.path, td, now)
    assert.deepEqual(await readdir(folder.path), ['plastron-agent.json'])
    assert.equal((await stat(file)).mode & 0o777, 0o600)
  })

  test('F6 a file cut at any byte is set aside, never an error and never half a state', async () => {
    await using folder = await tempFolder()
    const { file } = await filled(folder.path)
    const whole = await readFile(file)
    for (let length = 0; length < whole.length - 1; length += 37) {
      await writeFile(file, whole.subarray(0, length))
      const { state, setAside } = await AgentState.open(folder.path, td, now)
      assert.match(setAside?.movedTo ?? '', /plastron-agent\.json\.unusable-20260101T000000Z-/)
      assert.equal(state.content.svid, undefined)
      assert.equal(state.content.bundle, undefined)
    }
  })

  test('F6 a file with any bit flipped is set aside', async () => {
    await using folder = await tempFolder()
    const { file } = await filled(folder.path)
    const whole = await readFile(file)
    for (let bit = 0; bit < (whole.length - 1) * 8; bit += 211) {
      const damaged = Buffer.from(whole)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      await writeFile(file, damaged)
      // A version that is larger by one bit is a file of a newer program, which is refused and left alone.
      const opened = await AgentState.open(folder.path, td, now).catch(error => error.code as string)
      if (typeof opened === 'string') assert.equal(opened, 'ERR_AGENT_STORAGE')
      else assert.ok(opened.setAside, `bit ${bit}`)
    }
  })

  test('F6 links, folders and files of others at its place are set aside and not followed', async () => {
    await using folder = await tempFolder()
    const { file } = await filled(folder.path)
    await rename(file, join(folder.path, 'elsewhere'))
    await symlink(join(folder.path, 'elsewhere'), file)
    assert.match((await AgentState.open(folder.path, td, now)).setAside?.reason ?? '', /symbolic link/)
    await mkdir(file)
    assert.match((await AgentState.open(folder.path, td, now)).setAside?.reason ?? '', /not a regular file/)
    await writeFile(file, '{"format":"plastron agent keys","version":1,"sha256":"x","content":{}}')
    assert.match(
      (await AgentState.open(folder.path, td, now)).setAside?.reason ?? '',
      /not a "plastron agent state" file/,
    )
    await writeFile(file, Buffer.alloc(17 * 1024 * 1024))
    assert.match((await AgentState.open(folder.path, td, now)).setAside?.reason ?? '', /bytes, more than/)
  })

  test('the state of another trust domain is set aside', async () => {
    await using folder = await tempFolder()
    await filled(folder.path)
    const { setAside } = await AgentState.open(folder.path, TrustDomain.parse('other.org'), now)
    assert.match(setAside?.reason ?? '', /example\.org, not of other\.org/)
  })

  test('a file of a newer program is refused and left alone', async () => {
    await using folder = await tempFolder()
    const { file } = await filled(folder.path)
    const text = (await readFile(file, 'utf8')).replace('"version":1', '"version":2')
    await writeFile(file, text)
    await assert.rejects(AgentState.open(folder.path, td, now), {
      code: 'ERR_AGENT_STORAGE',
      message: /newer Plastron/,
    })
    assert.equal(await readFile(file, 'utf8'), text)
  })

  test('changes are written in the order they were made', async () => {
    await using folder = await tempFolder()
    const { state } = await AgentState.open(folder.path, td, now)
    await Promise.all(Array.from({ length: 20 }, (_, index) => state.update({ pendingKeyId: `key-${index}` })))
    assert.equal((await AgentState.open(folder.path, td, now)).state.content.pendingKeyId, 'key-19')
  })
})
