// V8's compiled form of the bundles, made by running them: what starts with it neither reads nor compiles the source of what is used at the start.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'

const { compiledFormPath } = createRequire(import.meta.url)('../packages/plastron/bin/load-bundle.js') as {
  compiledFormPath: (file: string) => string
}
const bundleName = /-(?:run|validate|document|worker\.bundle)\.js$/
const recorder = join(dirname(fileURLToPath(import.meta.url)), 'record-compiled.cjs')

/**
 * Runs the built executables of `dist` once (a server, an agent, the commands used most) in a folder of their own and leaves `<bundle>.cache`
 * beside each bundle. Where the daemons do not run (they need Linux), only what all commands share is recorded.
 *
 * @throws Error when a program does not do what it is there for
 */
export async function recordCompiledForms(dist: string): Promise<void> {
  // An empty form tells the loader of bundles that there is one, and the recorder that it is to be made.
  const bundles = readdirSync(join(dist, 'lib')).filter(name => name.endsWith('-main.js') || bundleName.test(name))
  for (const name of bundles) writeFileSync(compiledFormPath(join(dist, 'lib', name)), '')
  await runEach(dist)
  for (const name of bundles) check(join(dist, 'lib', name))
}

/** A form that a Node without options refuses is no use; a bundle that did not run (a daemon, where they do not run) needs none. */
function check(file: string): void {
  const path = compiledFormPath(file)
  const cachedData = readFileSync(path)
  if (cachedData.length === 0) {
    rmSync(path)
    return
  }
  // Wrapped as bin/load-bundle.js does: V8 compares the length.
  const source = `(function(exports,require,module,__filename,__dirname){${readFileSync(file, 'latin1')}\n})`
  if (new Script(source, { filename: file, cachedData }).cachedDataRejected === true)
    throw new Error(`V8 refuses what it compiled of ${file}`)
}

async function runEach(dist: string): Promise<void> {
  const run = async (program: string, ...args: string[]): Promise<string> => {
    const child = spawn(process.execPath, ['--require', recorder, join(dist, 'bin', `${program}.js`), ...args])
    child.stdin.end()
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text
      })
    }
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${said.stderr}`)
    return said.stdout
  }
  for (const program of ['plastron', 'plastron-server', 'plastron-agent']) await run(program, '--version')
  if (process.platform !== 'linux') return

  const folder = mkdtempSync(join(tmpdir(), 'plastron-build-'))
  const file = (...names: string[]) => join(folder, ...names)
  const daemons: { stop: () => Promise<void> }[] = []
  const start = async (program: string, args: string[], isHealthy: () => Promise<unknown>): Promise<void> => {
    const child = spawn(process.execPath, ['--require', recorder, join(dist, 'bin', `${program}.js`), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let log = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      log += text
    })
    const ended = once(child, 'close')
    daemons.push({
      stop: async () => {
        child.kill('SIGTERM')
        await ended
      },
    })
    for (let tries = 0; ; tries += 1) {
      try {
        return void (await isHealthy())
      } catch (cause) {
        if (tries === 50 || child.exitCode !== null) throw new Error(`${program} does not start:\n${log}`, { cause })
      }
    }
  }
  try {
    for (const name of ['server', 'agent']) mkdirSync(file(name), { mode: 0o700 })
    const port = await freePort()
    writeFileSync(file('server.conf'), serverConfiguration(folder, port), { mode: 0o600 })
    writeFileSync(file('agent.conf'), agentConfiguration(folder, port), { mode: 0o600 })
    const admin = ['-socketPath', file('server/api.sock')]
    await run('plastron-server', 'validate', '-config', file('server.conf'))
    await run('plastron-agent', 'validate', '-config', file('agent.conf'))
    await start('plastron-server', ['run', '-config', file('server.conf')], () =>
      run('plastron-server', 'healthcheck', ...admin),
    )
    writeFileSync(file('bundle.pem'), await run('plastron-server', 'bundle', 'show', ...admin))
    const token = await run('plastron-server', 'token', 'generate', '-spiffeID', 'spiffe://example.org/node', ...admin)
    writeFileSync(file('token'), token.replace(/^Token: /, ''), { mode: 0o600 })
    const uid = String(process.getuid?.() ?? 0)
    const entry = ['-parentID', 'spiffe://example.org/node', '-spiffeID', 'spiffe://example.org/workload']
    await run('plastron-server', 'entry', 'create', ...entry, '-selector', `unix:uid:${uid}`, ...admin)
    writeFileSync(file('entries.json'), entryDocument())
    await run('plastron-server', 'entry', 'create', '-data', file('entries.json'), ...admin)
    await run('plastron-server', 'entry', 'show', ...admin)
    await run('plastron-server', 'agent', 'list', ...admin)
    await run('plastron-server', 'entry', 'count', ...admin)
    const socket = ['-socketPath', file('agent/public/api.sock')]
    await start('plastron-agent', ['run', '-config', file('agent.conf')], () =>
      run('plastron-agent', 'healthcheck', ...socket),
    )
    await run('plastron-agent', 'api', 'fetch', 'x509', ...socket)
    await run('plastron-agent', 'api', 'fetch', 'jwt', '-audience', 'someone', ...socket)
  } finally {
    for (const { stop } of daemons.reverse()) await stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port of this machine is free')
  return address.port
}

function entryDocument(): string {
  const ids = { spiffe_id: 'spiffe://example.org/other', parent_id: 'spiffe://example.org/node' }
  return JSON.stringify({ entries: [{ ...ids, selectors: [{ type: 'unix', value: 'uid:1' }] }] })
}

function serverConfiguration(folder: string, port: number): string {
  return `server {
  bind_address = "127.0.0.1"
  bind_port = ${port}
  socket_path = "${folder}/server/api.sock"
  trust_domain = "example.org"
  data_dir = "${folder}/server/data"
}
plugins {
  DataStore "sql" { plugin_data {
    database_type = "sqlite3"
    connection_string = "${folder}/server/data/plastron.sqlite3"
  } }
  KeyManager "disk" { plugin_data { keys_path = "${folder}/server/data/keys.json" } }
  NodeAttestor "join_token" { plugin_data {} }
}
`
}

function agentConfiguration(folder: string, port: number): string {
  return `agent {
  server_address = "127.0.0.1"
  server_port = ${port}
  socket_path = "${folder}/agent/public/api.sock"
  admin_socket_path = "${folder}/agent/private/admin.sock"
  trust_domain = "example.org"
  trust_bundle_path = "${folder}/bundle.pem"
  data_dir = "${folder}/agent/data"
  join_token_file = "${folder}/token"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "${folder}/agent/data" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
}
