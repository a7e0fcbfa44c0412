import assert from 'node:assert/strict'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { Cluster, launcher, until } from '../support/cluster.ts'
import { runProgram, startProgram } from '../support/run-program.ts'

describe('plastron-agent’s command line', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start()
    await cluster.startAgent()
    await cluster.register('/web', { more: ['-hint', 'blue'] })
    await until(async () => (await cluster.agentCommand(['api', 'fetch', 'x509'])).code === 0)
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  const ok = (...args: string[]) => cluster.agentOutput(args)
  const json = async (...args: string[]) => JSON.parse(await ok(...args, '-output', 'json')) as unknown
  const fails = async (...args: string[]) => {
    const result = await cluster.agentCommand(args)
    assert.equal(result.code, 1, `${args.join(' ')} printed ${result.stdout}`)
    return result
  }
  /** Without a socket of the cluster's; `env` goes on top of this process's. */
  const plain = (args: readonly string[], env: Record<string, string> = {}) =>
    runProgram(process.execPath, [launcher('plastron-agent'), ...args], { env: { ...process.env, ...env } })
  const admin = async (...args: string[]) => {
    const result = await plain([...args, '-socketPath', cluster.agentAdminSocket])
    assert.equal(result.code, 0, result.stderr)
    return result.stdout
  }
  const token = async () => /^token\(.*\):\n\t(\S+)/.exec(await ok('api', 'fetch', 'jwt', '-audience', 'db'))?.[1] ?? ''

  test('AGT-CLI-014 prints its version; an unknown command ends with 127, a group alone with 1, help with 0', async () => {
    for (const flag of ['-v', '-version', '--version']) assert.match((await plain([flag])).stdout, /^\d+\.\d+\.\d+\n$/)
    assert.equal((await plain([])).code, 127)
    assert.equal((await plain(['bogus'])).code, 127)
    assert.equal((await plain(['debug'])).code, 1)
    assert.equal((await plain(['-h'])).code, 0)
    assert.equal((await plain(['api', 'fetch', 'jwt', '-h'])).code, 0)
  })

  test('AGT-CLI-001 AGT-CLI-002 validates a file with the flags of run, and starts nothing', async () => {
    const config = ['-config', cluster.path('agent.conf')]
    assert.equal((await plain(['validate', ...config])).stdout, 'SPIRE agent configuration file is valid.\n')
    const flags = ['-logLevel', 'debug', '-serverPort', '9999', '-trustDomain', 'example.org', '-expandEnv']
    assert.equal((await plain(['validate', ...config, ...flags])).code, 0)
    assert.equal((await plain(['validate', '-config', cluster.path('none.conf')])).code, 1)
    assert.equal((await plain(['validate', ...config, '-noSuchFlag'])).code, 1)
  })

  test('AGT-CLI-003 says whether the agent is healthy', async () => {
    assert.equal(await ok('healthcheck'), 'Agent is healthy.\n')
    assert.equal(await ok('healthcheck', '-verbose', '-shallow'), 'Checking agent health...\nAgent is healthy.\n')
    const away = await plain(['healthcheck', '-socketPath', cluster.path('nobody.sock')])
    assert.equal(away.code, 1)
    assert.equal(away.stderr, 'Agent is unhealthy: unable to determine health\n')
  })

  test('AGT-CLI-004 finds the socket by flag, instance template and environment, in this order', async () => {
    const check = async (args: string[], env: Record<string, string>) =>
      (await plain(['healthcheck', ...args], env)).code
    const template = { SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE: cluster.path('agent', 'public', '%i.sock') }
    const nowhere = { SPIRE_AGENT_PUBLIC_SOCKET: cluster.path('nobody.sock') }
    assert.equal(await check([], { SPIRE_AGENT_PUBLIC_SOCKET: cluster.agentSocket }), 0)
    assert.equal(await check(['-instance', 'api'], { ...template, ...nowhere }), 0)
    assert.equal(await check(['-socketPath', cluster.agentSocket], nowhere), 0)
    assert.equal(await check([], nowhere), 1)
    assert.equal(await check(['-instance', 'api'], {}), 1)
    assert.equal(await check(['-instance', 'api'], { SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE: '/x' }), 1)
  })

  test('AGT-CLI-005 fetches X509-SVIDs, pretty, silent and as JSON', async () => {
    const pretty =
      /^Received 1 svid after \S+\n\nSPIFFE ID:\t\tspiffe:\/\/example\.org\/web\nHint:\t\t\tblue\nSVID Valid After:\t.* UTC\nSVID Valid Until:\t.* UTC\nCA #1 Valid After:\t.* UTC\nCA #1 Valid Until:\t.* UTC\n\n$/
    assert.match(await ok('api', 'fetch', 'x509'), pretty)
    assert.match(await ok('api', 'fetch'), pretty)
    assert.equal(await ok('api', 'fetch', 'x509', '-silent'), '')
    const { svids } = (await json('api', 'fetch', 'x509')) as { svids: Record<string, string>[] }
    assert.equal(svids[0]?.spiffe_id, cluster.id('/web'))
  })

  test('AGT-CLI-006 writes SVID and bundle with mode 0644 and the key with mode 0600', async () => {
    const folder = cluster.path('written')
    await mkdir(folder)
    assert.match(await ok('api', 'fetch', 'x509', '-write', folder), /Writing key #0 to file .*svid\.0\.key\.\n/)
    assert.deepEqual((await readdir(folder)).toSorted(), ['bundle.0.pem', 'svid.0.key', 'svid.0.pem'])
    const mode = async (name: string) => (await stat(`${folder}/${name}`)).mode & 0o777
    assert.equal(await mode('svid.0.pem'), 0o644)
    assert.equal(await mode('bundle.0.pem'), 0o644)
    assert.equal(await mode('svid.0.key'), 0o600)
    const verified = await runProgram('openssl', [
      'verify',
      '-x509_strict',
      '-CAfile',
      `${folder}/bundle.0.pem`,
      `${folder}/svid.0.pem`,
    ])
    assert.equal(verified.code, 0, verified.stderr)
    await fails('api', 'fetch', 'x509', '-write', folder, '-output', 'json')
  })

  test('AGT-CLI-007 fetches JWT-SVIDs with the bundles', async () => {
    assert.match(
      await ok('api', 'fetch', 'jwt', '-audience', 'db,cache', '-spiffeID', cluster.id('/web')),
      /^token\(spiffe:\/\/example\.org\/web\):\n\t[\w-]+\.[\w-]+\.[\w-]+\nhint\(spiffe:\/\/example\.org\/web\):\n\tblue\nbundle\(spiffe:\/\/example\.org\):\n\t\{/,
    )
    const both = (await json('api', 'fetch', 'jwt', '-audience', 'db')) as [{ svids: unknown[] }, { bundles: object }]
    assert.equal(both[0].svids.length, 1)
    assert.deepEqual(Object.keys(both[1].bundles), ['spiffe://example.org'])
    assert.match((await fails('api', 'fetch', 'jwt')).stderr, /audience must be specified/)
  })

  test('AGT-CLI-008 validates a token, and says why one is not valid', async () => {
    const svid = await token()
    assert.match(
      await ok('api', 'validate', 'jwt', '-audience', 'db', '-svid', svid),
      /^SVID is valid\.\nSPIFFE ID : spiffe:\/\/example\.org\/web\nClaims {4}: \{"aud":\["db"\]/,
    )
    assert.match(
      (await fails('api', 'validate', 'jwt', '-audience', 'x', '-svid', svid)).stderr,
      /^SVID is not valid: /,
    )
    assert.match((await fails('api', 'validate', 'jwt', '-svid', svid)).stderr, /audience must be specified/)
    assert.match((await fails('api', 'validate', 'jwt', '-audience', 'x')).stderr, /svid must be specified/)
  })

  test('fetches WIT-SVIDs, and writes token and key with mode 0600', async () => {
    assert.match(await ok('api', 'fetch', 'wit'), /^token\(spiffe:\/\/example\.org\/web\):\n\t[\w-]+\.[\w-]+\.[\w-]+\n/)
    const folder = cluster.path('wit')
    await mkdir(folder)
    await ok('api', 'fetch', 'wit', '-write', folder)
    for (const name of ['wit.0.jwt', 'wit.0.key']) assert.equal((await stat(`${folder}/${name}`)).mode & 0o777, 0o600)
  })

  test('AGT-CLI-009 AGT-CLI-017 watches until it is interrupted', async () => {
    const watch = startProgram(process.execPath, [
      launcher('plastron-agent'),
      'api',
      'watch',
      '-socketPath',
      cluster.agentSocket,
    ])
    await watch.until('stdout', text => text.includes('CA #1 Valid Until'))
    watch.child.kill('SIGINT')
    const { code, signal, stdout } = await watch.ended
    assert.equal(signal, null)
    assert.equal(code, 1)
    assert.match(stdout, /^Received 1 svid after /)
  })

  test('AGT-CLI-010 tells about the agent', async () => {
    assert.match(
      await admin('debug', 'getinfo'),
      /^Agent Debug Info:\n {2}Uptime: +\S+s\n {2}Last Sync Success: +\S+Z\n {2}Cached X\.509-SVIDs: +\d+\n[\s\S]*\[0\] SPIFFE ID: {2}spiffe:\/\/example\.org\/spire\/agent\/join_token\//,
    )
    const info = JSON.parse(await admin('debug', 'getinfo', '-output', 'json')) as { svid_chain: unknown[] }
    assert.ok(info.svid_chain.length > 0)
  })

  test('AGT-CLI-011 AGT-CLI-012 AGT-CLI-013 gets, sets and resets the log level', async () => {
    assert.equal(await admin('logger', 'get'), 'Logger Level : info\nLaunch Level : info\n\n')
    assert.equal(await admin('logger', 'set', '-level', 'debug'), 'Logger Level : debug\nLaunch Level : info\n\n')
    assert.equal(await admin('logger', 'reset'), 'Logger Level : info\nLaunch Level : info\n\n')
    for (const args of [[], ['-level', 'loud']]) {
      assert.equal((await plain(['logger', 'set', ...args, '-socketPath', cluster.agentAdminSocket])).code, 1)
    }
  })
})
