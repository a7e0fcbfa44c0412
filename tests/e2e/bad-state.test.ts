import assert from 'node:assert/strict'
import { cp, mkdir, open, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { WorkloadApiClient } from '@plastron/spiffe/workload'
import { Cluster } from '../support/cluster.ts'
import { untilServing } from '../support/daemons.ts'
import { assertNoSecrets } from '../support/secrets.ts'

/** What may happen to a file while its owner is away. */
const damages: Readonly<Record<string, (path: string) => Promise<void>>> = {
  'cut in half': async path => {
    await using file = await open(path, 'r+')
    await truncate(path, Math.floor((await file.stat()).size / 2))
  },
  emptied: path => truncate(path, 0),
  'with flipped bits': async path => {
    await using file = await open(path, 'r+')
    const { size } = await file.stat()
    const bytes = Buffer.alloc(size)
    await file.read(bytes, 0, size, 0)
    for (const place of [3, size >> 1, size - 3]) bytes.writeUInt8(bytes.readUInt8(place) ^ 0x10, place)
    await file.write(bytes, 0, size, 0)
  },
  'replaced by a folder': async path => {
    await rename(path, `${path}.away`)
    await mkdir(path)
  },
}

describe('S2 F6 D5 state that was damaged while its owner was stopped', () => {
  let cluster: Cluster
  const good = (program: 'server' | 'agent') => cluster.path(`good-${program}`)
  const data = (program: 'server' | 'agent') => cluster.path(program, 'data')

  before(async () => {
    cluster = await Cluster.start()
    await cluster.register('/workload')
    await cluster.startAgent()
    await isServed()
    for (const program of ['agent', 'server'] as const) {
      await cluster[program]?.stop()
      await cp(data(program), good(program), { recursive: true, preserveTimestamps: true })
    }
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  async function isServed(): Promise<void> {
    await using client = new WorkloadApiClient({ address: cluster.workloadApiAddress })
    assert.equal((await client.fetchX509Svid()).id.toString(), cluster.id('/workload'))
  }

  async function restore(program: 'server' | 'agent'): Promise<void> {
    await rm(data(program), { recursive: true, force: true })
    await cp(good(program), data(program), { recursive: true, preserveTimestamps: true })
  }

  /** Starts it: either it serves, or it ends soon by itself and says why. */
  async function start(program: 'server' | 'agent'): Promise<{ readonly serves: boolean; readonly said: string }> {
    await rm(cluster.path(`${program}.log`), { force: true })
    const daemon = program === 'server' ? cluster.launchServer() : cluster.launchAgent()
    const socket = program === 'server' ? cluster.serverSocket : cluster.agentSocket
    const serves = await untilServing(daemon, socket).then(
      () => true,
      () => false,
    )
    if (!serves) assert.match(await daemon.ended, /exit code 1$/)
    return { serves, said: daemon.logTail(200) }
  }

  for (const file of ['keys.json', 'plastron.sqlite3', 'plastron.sqlite3.history']) {
    for (const [how, damage] of Object.entries(damages)) {
      test(`the server’s ${file}, ${how}: refused by name, or noticed and served`, async () => {
        await restore('server')
        await damage(cluster.path('server', 'data', file))
        const { serves, said } = await start('server')
        try {
          if (!serves) {
            assert.ok(said.includes(file), `does not name the file:\n${said}`)
            assert.doesNotMatch(said, /\n {4}at /)
          } else {
            assert.ok(file !== 'keys.json', `served with damaged keys:\n${said}`)
            assert.ok(how !== 'emptied' || file !== 'plastron.sqlite3', 'an emptied database was taken for a new one')
            assert.ok((await cluster.serverCommand(['entry', 'count'])).code === 0)
          }
          assertNoSecrets([cluster.path('server.log')], {})
        } finally {
          await cluster.server?.stop()
        }
      })
    }
  }

  describe('the agent, with the server’s state restored', () => {
    before(async () => {
      await restore('server')
      const { serves, said } = await start('server')
      assert.ok(serves, said)
      assert.match(await cluster.serverOutput(['entry', 'count']), /^2 /, 'the workload and the node')
    })

    for (const file of ['plastron-agent.json', 'plastron-agent-keys.json']) {
      for (const [how, damage] of Object.entries(damages)) {
        test(`the agent’s ${file}, ${how}: set aside, and with a new token it is back`, async () => {
          await restore('agent')
          await damage(cluster.path('agent', 'data', file))
          const first = await start('agent')
          try {
            assert.ok(!first.serves, 'it has nothing to prove itself with')
            assert.match(first.said, /token generate/, 'it says what to do')
            assert.match(first.said, /set aside/)
            const aside = (await readdir(data('agent'))).filter(name => name.startsWith(`${file}.unusable-`))
            assert.equal(aside.length, 1)
            const token = await cluster.serverOutput(['token', 'generate', '-spiffeID', cluster.id('/node')])
            await writeFile(cluster.path('token'), token.replace(/^Token: /, '').trim(), { mode: 0o600 })
            const second = await start('agent')
            assert.ok(second.serves, second.said)
            await isServed()
            assertNoSecrets([cluster.path('agent.log'), cluster.path('server.log')], {})
            assert.equal(basename(aside[0] ?? '').startsWith(file), true)
          } finally {
            await cluster.agent?.stop()
          }
        })
      }
    }
  })
})
