import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { Cluster, launcher } from '../support/cluster.ts'
import { runProgram } from '../support/run-program.ts'

describe('plastron-server’s command line', () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.start()
    await cluster.startAgent()
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })

  const ok = (...args: string[]) => cluster.serverOutput(args)
  const json = async (...args: string[]) => JSON.parse(await ok(...args, '-output', 'json')) as Record<string, unknown>
  const fails = async (...args: string[]) => {
    const result = await cluster.serverCommand(args)
    assert.equal(result.code, 1, `${args.join(' ')} printed ${result.stdout}`)
    return result
  }
  const create = (path: string, ...more: string[]) =>
    ok(
      'entry',
      'create',
      '-parentID',
      cluster.id('/node'),
      '-spiffeID',
      cluster.id(path),
      '-selector',
      'test:case',
      ...more,
    )
  const idOf = (block: string) => /Entry ID +: (\S+)/.exec(block)?.[1] ?? ''

  test('SRV-RUN-023 prints its version', async () => {
    for (const flag of ['-v', '-version', '--version']) {
      const result = await runProgram(process.execPath, [launcher('plastron-server'), flag])
      assert.match(result.stdout, /^\d+\.\d+\.\d+\n$/)
      assert.equal(result.code, 0)
    }
  })

  test('SRV-RUN-024 SRV-CLI-016 an unknown command ends with 127, a group alone with 1, help with 0', async () => {
    const code = async (...args: string[]) =>
      (await runProgram(process.execPath, [launcher('plastron-server'), ...args])).code
    assert.equal(await code(), 127)
    assert.equal(await code('bogus'), 127)
    assert.equal(await code('entry'), 1)
    assert.equal(await code('entry', 'bogus'), 1)
    assert.equal(await code('entry', 'create', '-h'), 0)
    assert.equal(await code('-h'), 0)
  })

  test('SRV-CLI-040 SRV-CLI-041 creates an entry, and says which one it could not create and why', async () => {
    const block = await create('/created', '-dns', 'a.example', '-hint', 'blue', '-x509SVIDTTL', '120')
    assert.match(block, /^Entry ID +: [0-9a-f-]{36}\nSPIFFE ID +: spiffe:\/\/example\.org\/created\n/)
    assert.match(block, /X509-SVID TTL +: 120\n/)
    const again = await cluster.serverCommand([
      'entry',
      'create',
      '-parentID',
      cluster.id('/node'),
      '-spiffeID',
      cluster.id('/created'),
      '-selector',
      'test:case',
    ])
    assert.equal(again.code, 1)
    assert.match(
      again.stderr,
      /^Failed to create the following entry \(code: AlreadyExists, msg: "similar entry already exists"\):\nEntry ID +: \(none\)/,
    )
    assert.match(again.stderr, /Error: failed to create one or more entries\n$/)
  })

  test('SRV-CLI-040 refuses by the flag’s name before any call', async () => {
    assert.match((await fails('entry', 'create')).stderr, /Error: at least one selector is required/)
    assert.match(
      (
        await fails(
          'entry',
          'create',
          '-selector',
          'nocolon',
          '-spiffeID',
          cluster.id('/x'),
          '-parentID',
          cluster.id('/node'),
        )
      ).stderr,
      /selector "nocolon" must be formatted as type:value/,
    )
    assert.match((await fails('entry', 'create', '-selector', 'a:b')).stderr, /a SPIFFE ID is required/)
    assert.match(
      (await fails('entry', 'create', '-selector', 'a:b', '-spiffeID', cluster.id('/x'))).stderr,
      /a parent ID is required/,
    )
    assert.match(
      (await fails('entry', 'create', '-selector', 'a:b', '-spiffeID', 'http://x')).stderr,
      /a parent ID is required/,
    )
    assert.match(
      (await fails('entry', 'create', '-selector', 'a:b', '-spiffeID', 'http://x', '-parentID', cluster.id('/node')))
        .stderr,
      /spiffeID: /,
    )
    assert.match(
      (
        await fails(
          'entry',
          'create',
          '-node',
          '-selector',
          'a:b',
          '-spiffeID',
          cluster.id('/x'),
          '-federatesWith',
          'spiffe://o.org',
        )
      ).stderr,
      /node entries can not federate/,
    )
    assert.match(
      (
        await fails(
          'entry',
          'create',
          '-selector',
          'a:b',
          '-spiffeID',
          cluster.id('/x'),
          '-parentID',
          cluster.id('/n'),
          '-x509SVIDTTL',
          '-5',
        )
      ).stderr,
      /a positive x509SVIDTTL is required/,
    )
  })

  test('SRV-CLI-040 -node sets the server as parent', async () => {
    const block = await ok('entry', 'create', '-node', '-spiffeID', cluster.id('/cluster'), '-selector', 'test:node')
    assert.match(block, /Parent ID +: spiffe:\/\/example\.org\/spire\/server\n/)
  })

  test('SRV-CLI-014 SRV-CLI-042 reads entries from a file and from standard input', async () => {
    const entry = (path: string) => ({
      entries: [
        {
          spiffe_id: cluster.id(path),
          parent_id: cluster.id('/node'),
          selectors: [{ type: 'test', value: 'file' }],
          x509_svid_ttl: 60,
          dns_names: ['d.example'],
          entryExpiry: 4_000_000_000,
        },
      ],
    })
    await writeFile(cluster.path('entries.json'), JSON.stringify(entry('/from-file')))
    assert.match(
      await ok('entry', 'create', '-data', cluster.path('entries.json')),
      /from-file[\s\S]*Expiration time +: 2096-10-02 07:06:40 \+0000 UTC/,
    )
    const fromStdin = await cluster.serverCommand(['entry', 'create', '-data', '-'], {
      stdin: JSON.stringify(entry('/from-stdin')),
    })
    assert.equal(fromStdin.code, 0, fromStdin.stderr)
    const bad = await cluster.serverCommand(['entry', 'create', '-data', '-'], {
      stdin: '{"entries":[{"spiffe_id":7}]}',
    })
    assert.equal(bad.code, 1)
    assert.match(bad.stderr, /standard input: .*\n?.*entries\[0\]\.spiffe_id/)
  })

  test('SRV-CLI-007 SRV-CLI-010 JSON is one line, sorted, with every field; a failed item does not fail the command', async () => {
    const text = await ok('entry', 'show', '-spiffeID', cluster.id('/created'), '-output', 'json')
    assert.equal(text.trim().split('\n').length, 1)
    const [entry] = (JSON.parse(text) as { entries: Record<string, unknown>[] }).entries
    assert.ok(entry)
    assert.deepEqual(Object.keys(entry), Object.keys(entry).toSorted())
    assert.equal(entry.revision_number, '0')
    assert.equal(entry.admin, false)
    assert.deepEqual(entry.federates_with, [])
    assert.equal('additional_attributes' in entry, false)
    const repeated = await json(
      'entry',
      'create',
      '-parentID',
      cluster.id('/node'),
      '-spiffeID',
      cluster.id('/created'),
      '-selector',
      'test:case',
    )
    const [result] = repeated.results as { status: { code: number } }[]
    assert.equal(result?.status.code, 6)
  })

  test('SRV-CLI-006 takes pretty, prettyprint and json in any case, once', async () => {
    for (const format of ['pretty', 'PrettyPrint', 'JSON']) await ok('entry', 'count', '-output', format)
    assert.match(
      (await fails('entry', 'count', '-output', 'xml')).stderr,
      /^invalid value "xml" for flag -output: bad formatter flag: unknown format option: "xml"\nUsage of entry count:/,
    )
    await fails('entry', 'count', '-output', 'json', '-output', 'pretty')
  })

  test('SRV-CLI-043 updates an entry whole', async () => {
    const id = idOf(await create('/updated', '-hint', 'before', '-disableX509SVIDPrefetch'))
    const updated = await ok(
      'entry',
      'update',
      '-entryID',
      id,
      '-parentID',
      cluster.id('/node'),
      '-spiffeID',
      cluster.id('/updated'),
      '-selector',
      'test:after',
      '-jwtSVIDIncludeJTI',
    )
    assert.match(updated, /Revision +: 1\n/)
    assert.match(updated, /Selector +: test:after\n/)
    assert.doesNotMatch(updated, /Hint/)
    assert.match(updated, /DisableX509SvidPrefetch : true\nJwtSvidIncludeJti +: true/)
    const unknown = await fails(
      'entry',
      'update',
      '-entryID',
      randomUUID(),
      '-parentID',
      cluster.id('/node'),
      '-spiffeID',
      cluster.id('/u'),
      '-selector',
      'a:b',
    )
    assert.match(unknown.stderr, /Failed to update the following entry \(code: NotFound/)
  })

  test('SRV-CLI-044 deletes entries by ID and by file', async () => {
    const ids = [idOf(await create('/d1')), idOf(await create('/d2')), idOf(await create('/d3'))]
    assert.equal(await ok('entry', 'delete', '-entryID', ids[0] ?? ''), `Deleted entry with ID: ${ids[0]}\n`)
    const byFile = await cluster.serverCommand(['entry', 'delete', '-file', '-'], {
      stdin: JSON.stringify({ ids: ids.slice(1) }),
    })
    assert.match(byFile.stdout, new RegExp(`Deleted entry with ID: ${ids[1]}\nDeleted entry with ID: ${ids[2]}\n`))
    const gone = await fails('entry', 'delete', '-entryID', ids[0] ?? '')
    assert.match(gone.stderr, /Failed to delete entry with ID .* \(code: NotFound, msg: "entry not found"\)/)
  })

  test('SRV-CLI-045 SRV-CLI-046 SRV-CLI-012 shows and counts by every filter', async () => {
    const id = idOf(await create('/filtered', '-selector', 'test:second', '-hint', 'filter-hint', '-downstream'))
    const found = async (...filter: string[]) => (await ok('entry', 'show', ...filter)).includes(id)
    assert.ok(await found('-entryID', id))
    assert.ok(await found('-spiffeID', cluster.id('/filtered')))
    assert.ok(await found('-parentID', cluster.id('/node')))
    assert.ok(await found('-hint', 'filter-hint'))
    assert.ok(await found('-downstream'))
    assert.ok(await found('-selector', 'test:second'))
    assert.equal(await found('-selector', 'test:second', '-matchSelectorsOn', 'exact'), false)
    assert.ok(await found('-selector', 'test:second', '-selector', 'test:case', '-matchSelectorsOn', 'exact'))
    assert.ok(await found('-selector', 'test:second', '-selector', 'test:none', '-matchSelectorsOn', 'any'))
    assert.match(await ok('entry', 'count', '-spiffeID', cluster.id('/filtered')), /^1 registration entry\n$/)
    assert.match(await ok('entry', 'count', '-spiffeID', cluster.id('/nobody')), /^0 registration entries\n$/)
    assert.match(
      (await fails('entry', 'show', '-selector', 'a:b', '-matchSelectorsOn', 'some')).stderr,
      /match behavior "some" unknown/,
    )
    assert.match(
      (await fails('entry', 'show', '-entryID', id, '-spiffeID', cluster.id('/x'))).stderr,
      /-entryID flag can not be combined/,
    )
  })

  test('SRV-CLI-023 SRV-CLI-024 SRV-CLI-027 lists, counts and shows agents', async () => {
    const list = await ok('agent', 'list')
    assert.match(list, /^Found 1 attested agent:\n\nSPIFFE ID +: spiffe:\/\/example\.org\/spire\/agent\/join_token\//)
    assert.match(
      list,
      /Attestation type +: join_token\nExpiration time +: .*\nSerial number +: \d+\nCan re-attest +: false\nAgent version +: /,
    )
    assert.equal(await ok('agent', 'count'), '1 attested agent\n')
    assert.equal(await ok('agent', 'count', '-banned', 'true'), '0 attested agents\n')
    const id = /SPIFFE ID +: (\S+)/.exec(list)?.[1] ?? ''
    assert.match(await ok('agent', 'show', '-spiffeID', id), /^Found an attested agent given its SPIFFE ID\n\n/)
    assert.match(
      (await fails('agent', 'show', '-spiffeID', cluster.id('/x'))).stderr,
      /rpc error: code = InvalidArgument/,
    )
    assert.match(
      (await fails('agent', 'evict', '-spiffeID', cluster.id('/spire/agent/none'))).stderr,
      /rpc error: code = NotFound desc = agent not found/,
    )
  })

  test('SRV-CLI-026 checks -expiresBefore', async () => {
    assert.match((await fails('agent', 'list', '-expiresBefore', 'tomorrow')).stderr, /date is not valid/)
    await ok('agent', 'list', '-expiresBefore', '2100-01-02 15:04:05 -0700 -07')
  })

  test('SRV-CLI-028 has nothing to purge', async () => {
    assert.equal(await ok('agent', 'purge'), 'No agents to purge.\n')
    assert.deepEqual(await json('agent', 'purge'), { expired_agents: [] })
  })

  test('SRV-CLI-063 generates join tokens', async () => {
    assert.match(await ok('token', 'generate'), /^Token: [0-9a-f-]{36}\nWarning: Missing SPIFFE ID\.\n$/)
    assert.match(await ok('token', 'generate', '-spiffeID', cluster.id('/n2')), /^Token: [0-9a-f-]{36}\n$/)
    assert.deepEqual(Object.keys(await json('token', 'generate')), ['expires_at', 'value'])
    assert.match((await fails('token', 'generate', '-ttl', '0')).stderr, /-ttl must be a number of seconds/)
  })

  test('SRV-CLI-030 SRV-CLI-031 SRV-CLI-035 shows the bundle', async () => {
    assert.match(await ok('bundle', 'show'), /^-----BEGIN CERTIFICATE-----\n/)
    const document = JSON.parse(await ok('bundle', 'show', '-format', 'SPIFFE')) as {
      keys: { use: string }[]
      spiffe_sequence: number
    }
    assert.deepEqual(new Set(document.keys.map(({ use }) => use)), new Set(['x509-svid', 'jwt-svid']))
    assert.match((await fails('bundle', 'show', '-format', 'der')).stderr, /invalid format/)
    assert.match(await ok('bundle', 'count'), /^\d+ bundles?\n$/)
  })

  test('SRV-CLI-032 SRV-CLI-033 SRV-CLI-034 sets, lists and deletes a foreign bundle', async () => {
    const pem = await ok('bundle', 'show')
    const set = await cluster.serverCommand(['bundle', 'set', '-id', 'spiffe://foreign.test'], { stdin: pem })
    assert.equal(set.stdout, 'bundle set.\n', set.stderr)
    assert.match(
      await ok('bundle', 'list'),
      /^\*{44}\n\* spiffe:\/\/foreign\.test\n\*{44}\n-----BEGIN CERTIFICATE-----/,
    )
    assert.equal(await ok('bundle', 'list', '-id', 'spiffe://foreign.test'), pem)
    assert.match(
      (await fails('bundle', 'delete', '-id', 'spiffe://foreign.test', '-mode', 'gently')).stderr,
      /unsupported mode "gently"/,
    )
    assert.equal(await ok('bundle', 'delete', '-id', 'spiffe://foreign.test'), 'bundle deleted.\n')
    assert.match(
      (await fails('bundle', 'delete', '-id', 'spiffe://foreign.test')).stderr,
      /failed to delete federated bundle "spiffe:\/\/foreign\.test"/,
    )
    const garbage = await cluster.serverCommand(['bundle', 'set', '-id', 'spiffe://foreign.test'], { stdin: 'garbage' })
    assert.match(garbage.stderr, /unable to parse the bundle/)
  })

  test('SRV-CLI-061 mints an X509-SVID to the screen and into files with the right modes', async () => {
    const text = await ok('x509', 'mint', '-spiffeID', cluster.id('/minted'), '-dns', 'm.example')
    assert.match(
      text,
      /^X509-SVID:\n-----BEGIN CERTIFICATE-----[\s\S]*Private key:\n-----BEGIN PRIVATE KEY-----[\s\S]*Root CAs:\n-----BEGIN CERTIFICATE-----/,
    )
    const folder = cluster.path('minted')
    await mkdir(folder)
    await ok('x509', 'mint', '-spiffeID', cluster.id('/minted'), '-write', folder)
    assert.equal((await stat(`${folder}/svid.pem`)).mode & 0o777, 0o644)
    assert.equal((await stat(`${folder}/key.pem`)).mode & 0o777, 0o600)
    assert.equal((await stat(`${folder}/bundle.pem`)).mode & 0o777, 0o644)
    const verified = await runProgram('openssl', [
      'verify',
      '-x509_strict',
      '-CAfile',
      `${folder}/bundle.pem`,
      `${folder}/svid.pem`,
    ])
    assert.equal(verified.code, 0, verified.stderr)
    const capped = await cluster.serverCommand(['x509', 'mint', '-spiffeID', cluster.id('/minted'), '-ttl', '10000h'])
    assert.match(capped.stderr, /X509-SVID lifetime was capped shorter than specified ttl; expires "/)
  })

  test('SRV-CLI-060 mints a JWT-SVID to the screen and into a 0600 file', async () => {
    assert.match(
      await ok('jwt', 'mint', '-spiffeID', cluster.id('/minted'), '-audience', 'a', '-audience', 'b'),
      /^[\w-]+\.[\w-]+\.[\w-]+\n$/,
    )
    const path = cluster.path('token.jwt')
    await ok('jwt', 'mint', '-spiffeID', cluster.id('/minted'), '-audience', 'a', '-write', path)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.match(await readFile(path, 'utf8'), /^[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.match((await fails('jwt', 'mint', '-spiffeID', cluster.id('/minted'))).stderr, /at least one audience/)
  })

  test('SRV-CLI-062 mints a WIT-SVID with its key', async () => {
    const [token, , key] = (await ok('wit', 'mint', '-spiffeID', cluster.id('/minted'))).split('\n')
    assert.match(token ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.equal((JSON.parse(key ?? '') as { alg: string }).alg, 'ES256')
    assert.match(
      (await fails('wit', 'mint', '-spiffeID', cluster.id('/minted'), '-keyType', 'rsa-2048')).stderr,
      /cannot sign "ES256"/,
    )
  })

  test('SRV-CLI-080 gets, sets and resets the log level', async () => {
    assert.equal(await ok('logger', 'get'), 'Logger Level : info\nLaunch Level : info\n\n')
    assert.equal(await ok('logger', 'set', '-level', 'Warning'), 'Logger Level : warning\nLaunch Level : info\n\n')
    assert.deepEqual(await json('logger', 'reset'), { current_level: 'INFO', launch_level: 'INFO' })
    assert.match((await fails('logger', 'set')).stderr, /a value \(-level\) must be set/)
    assert.match((await fails('logger', 'set', '-level', 'loud')).stderr, /"loud" is not a valid setting/)
  })

  test('SRV-CLI-081 tells about the server', async () => {
    const text = await ok('debug', 'getinfo')
    assert.match(
      text,
      /^Server Debug Info:\n {2}Uptime: +\d\S*s\n {2}Registered Agents: +1\n {2}Registration Entries: +\d+\n/,
    )
    assert.match(text, /\[0\] SPIFFE ID: {2}spiffe:\/\/example\.org\/spire\/server\n/)
  })

  test('SRV-CLI-082 SRV-CLI-009 says whether the server is healthy', async () => {
    assert.equal(await ok('healthcheck'), 'Server is healthy.\n')
    assert.equal(await ok('healthcheck', '-verbose', '-shallow'), 'Checking server health...\nServer is healthy.\n')
    const away = await runProgram(process.execPath, [
      launcher('plastron-server'),
      'healthcheck',
      '-socketPath',
      cluster.path('nobody.sock'),
    ])
    assert.equal(away.code, 1)
    assert.equal(away.stderr, 'Error: server is unhealthy: unable to determine health\n')
    const call = await runProgram(process.execPath, [
      launcher('plastron-server'),
      'entry',
      'count',
      '-socketPath',
      cluster.path('nobody.sock'),
    ])
    assert.match(call.stderr, /^Error: rpc error: code = Unavailable desc = /)
  })

  test('SRV-CLI-002 SRV-CLI-003 SRV-CLI-004 finds the socket by flag, instance template and environment', async () => {
    const count = (args: string[], env: Record<string, string>) =>
      runProgram(process.execPath, [launcher('plastron-server'), 'bundle', 'count', ...args], {
        env: { ...process.env, ...env },
      })
    assert.equal((await count([], { SPIRE_SERVER_PRIVATE_SOCKET: cluster.serverSocket })).code, 0)
    assert.equal(
      (await count(['-instance', 'api'], { SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: cluster.path('server', '%i.sock') }))
        .code,
      0,
    )
    assert.match((await count(['-instance', 'api'], {})).stderr, /SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE/)
    assert.match(
      (
        await count(['-instance', 'api', '-socketPath', cluster.serverSocket], {
          SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE: '/x',
        })
      ).stderr,
      /has no %i/,
    )
  })

  test('SRV-CLI-070 SRV-CLI-071 SRV-CLI-072 rotates, taints and revokes a local authority', async () => {
    const show = () => ok('localauthority', 'jwt', 'show')
    const before = /Active JWT authority:\n {2}Authority ID: (\S+)/.exec(await show())?.[1] ?? ''
    const prepared = /Authority ID: (\S+)/.exec(await ok('localauthority', 'jwt', 'prepare'))?.[1] ?? ''
    assert.notEqual(prepared, before)
    assert.match(await ok('localauthority', 'jwt', 'activate', '-authorityID', prepared), /^Activated JWT authority:\n/)
    assert.match(
      (await fails('localauthority', 'jwt', 'taint', '-authorityID', prepared)).stderr,
      /rpc error: code = InvalidArgument/,
    )
    assert.match(await ok('localauthority', 'jwt', 'taint', '-authorityID', before), /^Tainted JWT authority:\n/)
    assert.match(await ok('localauthority', 'jwt', 'revoke', '-authorityID', before), /^Revoked JWT authority:\n/)
    assert.match((await fails('localauthority', 'jwt', 'revoke')).stderr, /an authority ID is required/)
  })
})
