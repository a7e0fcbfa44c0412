import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { launcher } from '../support/cluster.ts'
import { type ProgramResult, runProgram } from '../support/run-program.ts'

/** A good file of each program, in a folder of the test; what is bad is put in place of a part of it. */
function good(program: 'server' | 'agent', folder: string): string {
  return program === 'server'
    ? `server {
  trust_domain = "example.org"
  data_dir = "${folder}/data"
  socket_path = "${folder}/api.sock"
  bind_port = 8081
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${folder}/data/db.sqlite3" } }
  KeyManager "disk" { plugin_data { keys_path = "${folder}/data/keys.json" } }
  NodeAttestor "join_token" { plugin_data {} }
}
`
    : `agent {
  trust_domain = "example.org"
  data_dir = "${folder}/data"
  server_address = "127.0.0.1"
  server_port = 8081
  socket_path = "${folder}/public/api.sock"
  insecure_bootstrap = true
  join_token = "SECRET-JOIN-TOKEN"
}
plugins {
  KeyManager "disk" { plugin_data { directory = "${folder}/data" } }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`
}

interface Bad {
  readonly what: string
  readonly program: 'server' | 'agent'
  readonly replace: readonly [part: string, by: string]
  /** The line that the message has to name. */
  readonly line: number
  readonly says: RegExp
}

const cases: readonly Bad[] = [
  {
    what: 'a block without an end',
    program: 'server',
    replace: ['8081\n}', '8081\n'],
    line: 12,
    says: /end of the text/,
  },
  {
    what: 'a string without an end',
    program: 'server',
    replace: ['"example.org"', '"example.org'],
    line: 2,
    says: /string|quote/,
  },
  {
    what: 'an unknown key',
    program: 'server',
    replace: ['bind_port', 'bind_prt'],
    line: 5,
    says: /did you mean "bind_port"/,
  },
  { what: 'a number for text', program: 'server', replace: ['"example.org"', '{}'], line: 2, says: /trust_domain/ },
  { what: 'a port out of range', program: 'server', replace: ['8081', '65536'], line: 5, says: /bind_port/ },
  {
    what: 'a trust domain that is none',
    program: 'server',
    replace: ['example.org', 'Ex ample/x'],
    line: 2,
    says: /trust_domain/,
  },
  {
    what: 'a plugin that is not built',
    program: 'server',
    replace: ['"join_token"', '"tpm_devid"'],
    line: 10,
    says: /tpm_devid/,
  },
  { what: 'no data store', program: 'server', replace: ['DataStore', 'Datastore'], line: 8, says: /Data[sS]tore/ },
  { what: 'control characters', program: 'server', replace: ['server {', 'server \u0000{'], line: 1, says: /./ },
  {
    what: 'a thousand blocks in one another',
    program: 'server',
    replace: ['bind_port = 8081', `x ${'{ x '.repeat(1000)}`],
    line: 5,
    says: /./,
  },
  {
    what: 'an unknown key',
    program: 'agent',
    replace: ['server_address', 'server_adress'],
    line: 4,
    says: /did you mean "server_address"/,
  },
  {
    what: 'a duration that is none',
    program: 'agent',
    replace: ['insecure_bootstrap = true', 'insecure_bootstrap = true\n  availability_target = "1 day"'],
    line: 8,
    says: /availability_target/,
  },
  {
    what: 'two sources of trust',
    program: 'agent',
    replace: ['insecure_bootstrap = true', 'insecure_bootstrap = true\n  trust_bundle_path = "x"'],
    line: 0,
    says: /insecure_bootstrap|trust_bundle/,
  },
  {
    what: 'a text that is not closed before a secret',
    program: 'agent',
    replace: ['"SECRET-JOIN-TOKEN"', '"SECRET-JOIN-TOKEN'],
    line: 8,
    says: /./,
  },
  {
    what: 'a key manager twice',
    program: 'agent',
    replace: ['KeyManager', 'KeyManager "memory" { plugin_data {} }\n  KeyManager'],
    line: 12,
    says: /KeyManager/,
  },
]

describe('bad configuration files', () => {
  for (const { what, program, replace, line, says } of cases) {
    test(`${what}, of ${program}: ${program}.conf is refused by file and line, and nothing is made`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'plastron-test-'))
      try {
        const path = join(folder, `${program}.conf`)
        const whole = good(program, folder)
        assert.ok(whole.includes(replace[0]), 'the part to be replaced')
        await writeFile(path, whole.replace(...replace), { mode: 0o600 })
        const results = await Promise.all(
          ['validate', 'run'].map(command =>
            runProgram(process.execPath, [launcher(`plastron-${program}`), command, '-config', path]),
          ),
        )
        for (const result of results) refusedWithPlace(result, path, line, says)
        assert.deepEqual(await readdir(folder), [`${program}.conf`])
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    })
  }
})

function refusedWithPlace(
  { code, signal, stdout, stderr }: ProgramResult,
  path: string,
  line: number,
  says: RegExp,
): void {
  const said = stdout + stderr
  assert.equal(code, 1, `ended with ${code ?? signal}: ${said}`)
  assert.match(said, says)
  const places = [...said.matchAll(/\.conf:(\d+):\d+/g)].map(found => Number(found[1]))
  assert.ok(said.includes(path), said)
  if (line > 0) assert.ok(places.includes(line), `names line ${places.join(', ')}, not ${line}: ${said}`)
  assert.doesNotMatch(said, /SECRET|node:internal|\n {4}at /)
}
