import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { choosePort } from '../../packages/plastron/src/dev/free-port.ts'
import { repositoryRoot, until } from '../support/cluster.ts'
import { type RunningProgram, runProgram, startProgram } from '../support/run-program.ts'

/** The fenced blocks of a page in one language, in order. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text ?? '')
}

/** What a reader pastes from docs/getting-started.md, with a folder and a port of the test's own. */
test('the commands of docs/getting-started.md work as they stand', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'plastron-start-'))
  const running: RunningProgram[] = []
  try {
    const port = await choosePort(join(folder, 'none'))
    const page = (await readFile(join(repositoryRoot, 'docs/getting-started.md'), 'utf8'))
      .replaceAll('/tmp/plastron-demo', folder)
      .replaceAll('8081', String(port))
    const [serverConf = '', agentConf = ''] = blocks(page, 'hcl')
    const [startServer = '', bundleAndToken = '', startAgent = '', workload = ''] = blocks(page, 'sh')
    await writeFile(join(folder, 'server.conf'), serverConf)
    await writeFile(join(folder, 'agent.conf'), agentConf)
    const env = { ...process.env, PATH: `${join(repositoryRoot, 'node_modules/.bin')}:${process.env.PATH ?? ''}` }
    const paste = (commands: string) =>
      runProgram('sh', ['-ec', commands.replaceAll('npx plastron', 'plastron')], { cwd: folder, env })
    const start = (command: string) => {
      const program = startProgram('sh', ['-c', `exec ${command.replace('npx plastron', 'plastron')}`], {
        cwd: folder,
        env,
      })
      running.push(program)
      return program
    }

    const [validate = '', runServer = ''] = startServer.trim().split('\n')
    assert.match((await paste(validate)).stdout, /configuration file is valid/)
    start(runServer)
    await until(
      async () =>
        (await paste(`npx plastron-server healthcheck -socketPath ${folder}/server/private/api.sock`)).code === 0,
    )

    const second = await paste(bundleAndToken)
    assert.equal(second.code, 0, second.stderr)
    const token = /Token: (\S+)/.exec(second.stdout)?.[1] ?? ''
    await writeFile(join(folder, 'token'), token, { mode: 0o600 })
    start(startAgent.trim())
    await until(
      async () =>
        (await paste(`npx plastron-agent healthcheck -socketPath ${folder}/agent/public/api.sock`)).code === 0,
    )

    const exported = /^export S=.*$/m.exec(bundleAndToken)?.[0] ?? ''
    const [create = '', rest = ''] = workload.split(/(?=npx plastron-agent api fetch)/)
    assert.equal((await paste(`${exported}\n${create}`)).code, 0)
    let last = await paste(rest)
    await until(async () => {
      if (last.code !== 0) last = await paste(rest)
      return last.code === 0
    })
    assert.match(last.stdout, /URI:spiffe:\/\/example\.org\/my-service/)
  } finally {
    for (const { child } of running.toReversed()) child.kill('SIGTERM')
    for (const { ended } of running) await ended
    await rm(folder, { recursive: true, force: true })
  }
})
