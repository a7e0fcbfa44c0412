import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { launcher, repositoryRoot, until } from '../support/cluster.ts'
import { type MarkedProcess, markedProcesses, markVariable } from '../support/marked-processes.ts'
import { type RunningProgram, runProgram, startProgram } from '../support/run-program.ts'

/** `npm start -- …` as a user types it, in a folder of its own, with a mark on every process that comes of it. */
async function startDev(args: readonly string[]): Promise<{ program: RunningProgram; mark: string; account: string }> {
  const mark = randomUUID()
  const program = startProgram('npm', ['start', '--', ...args], {
    cwd: repositoryRoot,
    env: { ...process.env, [markVariable]: mark },
    detached: true,
    timeoutMs: 90_000,
  })
  const account = await program.until('stdout', text => text.includes('Ctrl-C stops everything'))
  return { program, mark, account }
}

function role({ command }: MarkedProcess): 'npm' | 'launcher' | 'server' | 'agent' | 'shell' {
  const line = command.join(' ')
  if (line.includes('plastron-server.js')) return 'server'
  if (line.includes('plastron-agent.js')) return 'agent'
  if (line.includes('plastron.js') && !/^(\/bin\/)?(da|ba)?sh /.test(line)) return 'launcher'
  if (/^(\/bin\/)?(da|ba)?sh /.test(line)) return 'shell'
  return 'npm'
}

async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'plastron-dev-test-'))
}

describe('npm start', () => {
  test('prints a verified SVID and commands that work as they stand; SIGINT ends all; a second start takes it up again', async () => {
    const folder = await temporaryFolder()
    try {
      const state = join(folder, 'state')
      const first = await startDev(['-dir', state])
      assert.match(first.account, /You +spiffe:\/\/dev\.test\/user\/\d+/)
      assert.match(first.account, /X509-SVID +verified/)
      assert.match(first.account, /JWT-SVID +verified/)
      assert.equal((await stat(state)).mode & 0o777, 0o700)

      // The token went by a file: no process has it among its arguments.
      const processes = markedProcesses(first.mark)
      assert.deepEqual(new Set(processes.map(role)).has('agent'), true)
      for (const { command } of processes) assert.doesNotMatch(command.join(' '), /join_?token/i)

      for (const line of first.account.split('\n').filter(text => text.startsWith('  npx plastron-'))) {
        const result = await runProgram('sh', ['-c', line.trim()], { cwd: repositoryRoot })
        assert.equal(result.code, 0, `${line}\n${result.stdout}${result.stderr}`)
      }

      process.kill(-(first.program.child.pid ?? 0), 'SIGINT')
      await first.program.ended
      await until(() => markedProcesses(first.mark).length === 0, 5_000)

      const second = await startDev(['-dir', state])
      assert.match(second.account, /taken up again/)
      const entries = await runProgram(
        'npx',
        ['plastron-server', 'entry', 'show', '-socketPath', join(state, 'server/private/api.sock')],
        { cwd: repositoryRoot },
      )
      assert.match(entries.stdout, /spiffe:\/\/dev\.test\/my-service/)
      process.kill(-(second.program.child.pid ?? 0), 'SIGTERM')
      await second.program.ended
      await until(() => markedProcesses(second.mark).length === 0, 5_000)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('an ephemeral trust domain leaves nothing behind', async () => {
    const folder = await temporaryFolder()
    try {
      const { program, mark } = await startDev(['-ephemeral', '-dir', folder])
      assert.equal((await readdir(folder)).length, 1)
      process.kill(-(program.child.pid ?? 0), 'SIGINT')
      await program.ended
      await until(() => markedProcesses(mark).length === 0, 5_000)
      assert.deepEqual(await readdir(folder), [])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('a state folder whose path is too long for sockets keeps its sockets in a short private folder', async () => {
    const folder = await temporaryFolder()
    try {
      const long = join(folder, 'x'.repeat(60), 'y'.repeat(60))
      const { program, mark, account } = await startDev(['-dir', long])
      const socket = /unix:\/\/(\/\S+)/.exec(account)?.[1] ?? ''
      assert.ok(Buffer.byteLength(socket) <= 107, socket)
      assert.equal((await stat(join(socket, '../../..'))).mode & 0o777, 0o700)
      process.kill(-(program.child.pid ?? 0), 'SIGINT')
      await program.ended
      await until(() => markedProcesses(mark).length === 0, 5_000)
      await assert.rejects(stat(join(socket, '../../..')), { code: 'ENOENT' })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const victim of ['npm', 'launcher', 'server', 'agent'] as const) {
      test(`${signal} to ${victim} leaves no survivor`, async () => {
        const folder = await temporaryFolder()
        try {
          const { program, mark } = await startDev(['-dir', join(folder, 'state')])
          const found = markedProcesses(mark).filter(candidate => role(candidate) === victim)
          assert.ok(found.length >= 1, `no ${victim} among ${JSON.stringify(markedProcesses(mark))}`)
          for (const { pid } of found) process.kill(pid, signal)
          await until(() => markedProcesses(mark).length === 0, 10_000)
          await program.ended
        } finally {
          await rm(folder, { recursive: true, force: true })
        }
      })
    }
  }
})

test('plastron dev says what it does and refuses a folder that others can read', async () => {
  const folder = await temporaryFolder()
  try {
    const help = await runProgram(process.execPath, [launcher('plastron'), 'dev', '-h'])
    assert.equal(help.code, 0)
    assert.match(help.stderr, /-ephemeral/)
    const open = join(folder, 'open')
    await runProgram('mkdir', ['-m', '755', open])
    const refused = await runProgram(process.execPath, [launcher('plastron'), 'dev', '-dir', open])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /is open to others \(mode 755\): chmod 700 it/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
