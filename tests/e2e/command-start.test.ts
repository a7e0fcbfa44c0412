// What a command loads decides how long it takes: the parts of Node that cost most are loaded only where they are used.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { launcher } from '../support/cluster.ts'
import { runProgram } from '../support/run-program.ts'

const folder = mkdtempSync(join(tmpdir(), 'plastron-command-'))
after(() => rmSync(folder, { recursive: true }))
const probe = join(folder, 'probe.cjs')
writeFileSync(
  probe,
  `process.on('exit', () => require('node:fs').writeSync(2, '\\nloaded ' + process.moduleLoadList.join()))`,
)

const costly = ['http2', 'tls', 'crypto', 'http', 'zlib', 'internal/deps/undici/undici', 'fs/promises']
const id = 'spiffe://example.org/x'
const create = ['entry', 'create', '-parentID', id, '-spiffeID', `${id}/y`, '-selector', 'unix:uid:1']

for (const [program, ...args] of [
  ['plastron-server', '-version'],
  ['plastron-server', 'bundle', 'show'],
  ['plastron-server', ...create],
  ['plastron-server', 'entry', 'show', '-output', 'json'],
  ['plastron-server', 'agent', 'list'],
  ['plastron-server', 'token', 'generate', '-spiffeID', id],
  ['plastron-server', 'jwt', 'mint', '-spiffeID', id, '-audience', 'a'],
  ['plastron-server', 'logger', 'get'],
  ['plastron-server', 'healthcheck'],
  ['plastron-agent', 'api', 'fetch', 'jwt', '-audience', 'a'],
  ['plastron-agent', 'healthcheck'],
] as const) {
  test(`${program} ${args.join(' ')} loads neither HTTP/2 nor TLS nor cryptography of Node's`, async () => {
    // There is nobody to ask, which a command finds out when it has loaded all that asking takes.
    const socket = args[0] === '-version' ? [] : ['-socketPath', join(folder, 'nobody.sock')]
    const { stderr } = await runProgram(process.execPath, ['--require', probe, launcher(program), ...args, ...socket])
    const [said = '', list = ''] = stderr.split('\nloaded ')
    if (socket.length > 0) assert.match(said, /cannot connect: connect ENOENT|unhealthy/)
    const loaded = new Set(list.split(','))
    assert.ok(loaded.has('NativeModule fs'), list)
    if (socket.length > 0) assert.ok(loaded.has('NativeModule net'), list)
    assert.deepEqual(
      costly.filter(name => loaded.has(`NativeModule ${name}`)),
      [],
    )
  })
}
