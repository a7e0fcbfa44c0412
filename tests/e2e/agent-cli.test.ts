import assert from 'node:assert/strict'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { Cluster, launcher, until } from '../support/cluster.ts'
import { runProgram, startProgram } from '../support/run-program.ts'

describe('plastron-agent’s command line', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start()
    await cluster.startAgent()
    await cluster.register('/workload', { more: ['-hint', 'blue'] })
    await until(async () => (await cluster.agentCommand(['api', 'fetch', 'x509', '-silent'])).code === 0)
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  const ok = (...args: string[]) => cluster.agentOutput(args)
  const fails = async (...args: string[]) => {
    const result = await cluster.agentCommand(args)
    assert.equal(result.code, 1, `${args.join(' ')} printed ${result.stdout}`)
    return result.stderr
  }
  const admin = async (...args: string[]) => {
    const all = [launcher('plastron-agent'), ...args, '-socketPath', cluster.agentAdminSocket]
    const result = await runProgram(process.execPath, all)
    assert.equal(result.code, 0, result.stderr)
    return result.stdout
  }

  test('AGT-CLI-014 prints its version, and its commands for a wrong one', async () => {
    const run = (...args: string[]) => runProgram(process.execPath, [launcher('plastron-agent'), ...args])
    assert.match((await run('--version')).stdout, /^\d+\.\d+\.\d+\n$/)
    assert.equal((await run('bogus')).code, 127)
    assert.equal((await run('api')).code, 1)
    assert.equal((await run('api', 'fetch', 'x509', '-h')).code, 0)
  })

  test('AGT-CLI-005 AGT-CLI-017 fetches X509-SVIDs, verified, for people and for scripts', async () => {
    for (const words of [
      ['api', 'fetch'],
      ['api', 'fetch', 'x509'],
    ]) {
      const text = await ok(...words)
      assert.match(
        text,
        /^Received 1 svid after [\d.]+(ms|s)\n\nSPIFFE ID:\t\tspiffe:\/\/example\.org\/workload\nHint:\t\t\tblue\n/,
      )
      assert.match(text, /SVID Valid After:\t.* UTC\nSVID Valid Until:\t.* UTC\nCA #1 Valid After:\t/)
    }
    const json = JSON.parse(await ok('api', 'fetch', 'x509', '-output', 'json')) as { svids: { spiffe_id: string }[] }
    assert.equal(json.svids[0]?.spiffe_id, cluster.id('/workload'))
    assert.equal(await ok('api', 'fetch', 'x509', '-silent'), '')
  })

  test('AGT-CLI-006 writes certificate, key and bundle with their modes', async () => {
    const folder = cluster.path('written')
    await mkdir(folder)
    await ok('api', 'fetch', 'x509', '-write', folder)
    assert.equal((await stat(`${folder}/svid.0.pem`)).mode & 0o777, 0o644)
    assert.equal((await stat(`${folder}/svid.0.key`)).mode & 0o777, 0o600)
    assert.equal((await stat(`${folder}/bundle.0.pem`)).mode & 0o777, 0o644)
    const args = ['verify', '-x509_strict', '-CAfile', `${folder}/bundle.0.pem`, `${folder}/svid.0.pem`]
    const verified = await runProgram('openssl', args)
    assert.equal(verified.code, 0, verified.stderr)
    assert.match(
      await fails('api', 'fetch', 'x509', '-write', folder, '-output', 'json'),
      /only available for the pretty/,
    )
  })

  test('AGT-CLI-007 AGT-CLI-008 fetches JWT-SVIDs and validates them', async () => {
    const text = await ok('api', 'fetch', 'jwt', '-audience', 'a,b')
    assert.match(
      text,
      /^token\(spiffe:\/\/example\.org\/workload\):\n\t[\w.-]+\nhint\(spiffe:\/\/example\.org\/workload\):\n\tblue\nbundle\(/,
    )
    const token = /^\t(\S+)$/m.exec(text)?.[1] ?? ''
    const valid = await ok('api', 'validate', 'jwt', '-audience', 'a', '-svid', token)
    assert.match(
      valid,
      /^SVID is valid\.\nSPIFFE ID : spiffe:\/\/example\.org\/workload\nClaims {4}: \{"aud":\["a","b"\]/,
    )
    assert.match(await fails('api', 'validate', 'jwt', '-audience', 'c', '-svid', token), /^SVID is not valid: /)
    assert.match(await fails('api', 'fetch', 'jwt'), /^audience must be specified\n$/)
    assert.match(await fails('api', 'validate', 'jwt', '-audience', 'a'), /^svid must be specified\n$/)
    const json = JSON.parse(await ok('api', 'fetch', 'jwt', '-audience', 'a', '-output', 'json')) as object[]
    assert.deepEqual(
      json.map(part => Object.keys(part)[0]),
      ['svids', 'bundles'],
    )
  })

  test('fetches WIT-SVIDs with their keys', async () => {
    assert.match(await ok('api', 'fetch', 'wit'), /^token\(spiffe:\/\/example\.org\/workload\):\n\t[\w.-]+\n/)
    const folder = cluster.path('wit')
    await mkdir(folder)
    await ok('api', 'fetch', 'wit', '-write', folder)
    assert.equal((await stat(`${folder}/wit.0.key`)).mode & 0o777, 0o600)
  })

  test('AGT-CLI-009 watches until it is interrupted', async () => {
    const args = [launcher('plastron-agent'), 'api', 'watch', '-socketPath', cluster.agentSocket]
    const watch = startProgram(process.execPath, args)
    await watch.until('stdout', text => text.includes('Received 1 svid'))
    watch.child.kill('SIGINT')
    assert.equal((await watch.ended).code, 1)
  })

  test('AGT-CLI-010 AGT-CLI-011 AGT-CLI-012 AGT-CLI-013 tells about the agent and sets its log level', async () => {
    const text = await admin('debug', 'getinfo')
    assert.match(text, /^Agent Debug Info:\n {2}Uptime: +\S+s\n {2}Last Sync Success: +20\S+Z\n/)
    assert.match(text, /\[0\] SPIFFE ID: {2}spiffe:\/\/example\.org\/spire\/agent\/join_token\//)
    assert.equal(await admin('logger', 'get'), 'Logger Level : info\nLaunch Level : info\n\n')
    assert.equal(await admin('logger', 'set', '-level', 'debug'), 'Logger Level : debug\nLaunch Level : info\n\n')
    assert.equal(await admin('logger', 'reset'), 'Logger Level : info\nLaunch Level : info\n\n')
  })

  test('AGT-CLI-003 AGT-CLI-004 says whether the agent is healthy, and finds it by the environment', async () => {
    assert.equal(await ok('healthcheck'), 'Agent is healthy.\n')
    const run = (args: string[], env: Record<string, string>) =>
      runProgram(process.execPath, [launcher('plastron-agent'), ...args], { env: { ...process.env, ...env } })
    assert.equal((await run(['healthcheck'], { SPIRE_AGENT_PUBLIC_SOCKET: cluster.agentSocket })).code, 0)
    const template = { SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE: cluster.path('agent', 'public', '%i.sock') }
    assert.equal((await run(['healthcheck', '-instance', 'api'], template)).code, 0)
    const away = await run(['healthcheck', '-socketPath', cluster.path('nobody.sock')], {})
    assert.equal(away.code, 1)
    assert.equal(away.stderr, 'Agent is unhealthy: unable to determine health\n')
  })

  test('AGT-CLI-002 validates a configuration without starting anything', async () => {
    const run = (path: string) =>
      runProgram(process.execPath, [launcher('plastron-agent'), 'validate', '-config', path])
    assert.match((await run(cluster.path('agent.conf'))).stdout, /SPIRE agent configuration file is valid\.\n/)
    await writeFile(cluster.path('bad.conf'), 'agent {\n  server_adress = "x"\n}\n')
    const bad = await run(cluster.path('bad.conf'))
    assert.equal(bad.code, 1)
    assert.match(bad.stderr, /bad\.conf:2:3: .*server_adress.*server_address/)
  })
})
