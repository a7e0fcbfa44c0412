import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { recordingLogger } from '../testing/recording-logger.ts'
import { localTime } from './field-text.ts'
import { formatJson, formatText } from './format.ts'
import { logLevels, parseLogLevel } from './log-level.ts'
import { LogError, logToFile, logToStream } from './log-output.ts'
import { silentLogger } from './logger.ts'
import { openLogger } from './root-logger.ts'

const at = new Date('2026-11-23T01:02:03.004Z')
const local = localTime(at)
const text = { level: 'info', format: 'text', sourceLocation: false } as const

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'plastron-log-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

function collect(): {
  lines: string[]
  output: { write(line: string): void; reopen(): void; [Symbol.dispose](): void }
} {
  const lines: string[] = []
  return {
    lines,
    output: { write: line => void lines.push(line), reopen: () => undefined, [Symbol.dispose]: () => undefined },
  }
}

const line = (message: string, fields: Record<string, unknown> = {}) =>
  formatText({ at, level: 'info', message, fields }).replace(`time="${local}" level=info `, '')

describe('SRV-LOG-001 the text format', () => {
  test('is SPIRE’s: time, level, message, fields by name', () => {
    assert.equal(
      formatText({
        at,
        level: 'warn',
        message: 'Plugin loaded',
        fields: { plugin_type: 'KeyManager', external: false, n: 5 },
      }),
      `time="${local}" level=warning msg="Plugin loaded" external=false n=5 plugin_type=KeyManager\n`,
    )
    assert.equal(
      line('Configured', { data_dir: '/a/b', empty: '', list: ['a'] }),
      'msg=Configured data_dir=/a/b empty= list="[\\"a\\"]"\n',
    )
  })

  test('time is local, RFC 3339, with milliseconds', () => {
    assert.match(local, /^2026-11-2\dT\d\d:\d\d:03\.004(Z|[+-]\d\d:\d\d)$/)
    assert.equal(new Date(local).getTime(), at.getTime())
    assert.equal(line('x', { expiration: at }), `msg=x expiration="${local}"\n`)
    assert.equal(localTime(new Date(Number.NaN)), 'invalid time')
  })

  test('values that are not there leave no field; errors are their message', () => {
    assert.equal(line('x', { a: undefined, b: null, error: new Error('no') }), 'msg=x error=no\n')
  })

  test('a field that is called like a part of the line gets out of its way', () => {
    assert.equal(line('x', { msg: 1, level: 2, time: 3 }), 'msg=x fields.level=2 fields.msg=1 fields.time=3\n')
  })
})

describe('one event is one line that a terminal does not obey', () => {
  const nasty = 'a\nlevel=error msg=forged\r\u001b[31m\u009b2J\u202e\u2028\u007f\ufeff"\\'
  test('line ends, escapes and direction marks are shown, not done', () => {
    for (const format of [formatText, formatJson]) {
      const written = format({ at, level: 'info', message: nasty, fields: { [nasty]: nasty, error: new Error(nasty) } })
      assert.equal(written.indexOf('\n'), written.length - 1)
      assert.match(written, /^[\u0020-\u007e]*\n$/)
    }
  })

  test('of any message, name and value', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary' }),
        fc.anything(),
        (message, name, value) => {
          for (const format of [formatText, formatJson]) {
            const written = format({ at, level: 'info', message, fields: { [name]: value } })
            assert.equal(written.indexOf('\n'), written.length - 1)
            assert.doesNotMatch(written.slice(0, -1), /[\p{Cc}\u2028\u2029\u202a-\u202e]/u)
          }
          const parsed = JSON.parse(formatJson({ at, level: 'info', message, fields: { [name]: value } })) as {
            msg: string
          }
          assert.equal(typeof parsed.msg, 'string')
        },
      ),
      { numRuns: 500 },
    )
  })

  test('long values are cut', () => {
    assert.ok(line('x', { value: 'y'.repeat(1_000_000) }).length < 20_000)
  })
})

describe('keys and tokens never reach the log', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzcGlmZmU6Ly9hL2IifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ'

  test('by the name of the field', () => {
    for (const name of ['token', 'join_token', 'password', 'client_secret', 'private_key', 'Authorization'])
      assert.equal(line('x', { [name]: 'hunter2' }), `msg=x ${name}="[redacted]"\n`)
    assert.equal(line('x', { key_id: 'a', token_type: 'jwt' }), 'msg=x key_id=a token_type=jwt\n')
  })

  test('by what they look like, in fields, errors and messages', () => {
    const written = line(`with ${jwt}`, {
      a: jwt,
      b: new Error(`bad ${pem}`),
      c: { inner: { token: 'hunter2', pem } },
      d: pem.slice(0, 80),
    })
    assert.doesNotMatch(written, /MIG|c2lnbmF0|hunter2/)
    assert.equal((written.match(/\[redacted\]/g) ?? []).length, 6)
  })

  test('by what they are', () => {
    assert.equal(
      line('x', {
        key: createPrivateKey(pem),
        bytes: Buffer.from('hunter2'),
        deep: { key: privateKey, raw: Buffer.from('hunter2') },
      }).includes('hunter2'),
      false,
    )
  })
})

test('the JSON format has SPIRE’s names, in order', () => {
  assert.equal(
    formatJson({ at, level: 'debug', message: 'x', fields: { zed: 1, abc: true, big: 5n } }),
    `{"abc":true,"big":"5","level":"debug","msg":"x","time":"${local}","zed":1}\n`,
  )
})

describe('levels', () => {
  test('SRV-CFG-035 AGT-CFG-025 are read in any case', () => {
    assert.deepEqual(['PANIC', 'Fatal', 'error', 'WARN', 'warning', 'INFO', 'debug', 'TRACE'].map(parseLogLevel), [
      'panic',
      'fatal',
      'error',
      'warn',
      'warn',
      'info',
      'debug',
      'trace',
    ])
    assert.equal(parseLogLevel('loud'), undefined)
    assert.equal(parseLogLevel(''), undefined)
  })

  test('SRV-LOG-004 the level changes at run time for all children, and goes back to that of the launch', () => {
    const { lines, output } = collect()
    using logger = openLogger({ ...text, level: 'warn' }, { now: () => at, output })
    const child = logger.child({ subsystem_name: 'x' }).child({ more: 1 })
    const tell = () => {
      lines.length = 0
      for (const level of logLevels) child.log(level, level)
      return lines.map(written => /msg=(\w+)/.exec(written)?.[1])
    }
    assert.deepEqual(tell(), ['panic', 'fatal', 'error', 'warn'])
    logger.setLevel('trace')
    assert.deepEqual(tell(), [...logLevels])
    assert.equal(child.isEnabled('trace'), true)
    assert.deepEqual([logger.level, logger.launchLevel], ['trace', 'warn'])
    logger.setLevel('panic')
    assert.deepEqual(tell(), ['panic'])
    logger.resetLevel()
    assert.equal(logger.level, 'warn')
    child.error('x')
    assert.match(lines.at(-1) ?? '', /more=1 subsystem_name=x/)
  })
})

test('SRV-CFG-037 AGT-CFG-028 the place in the source is that of the caller', () => {
  const { lines, output } = collect()
  using logger = openLogger({ ...text, sourceLocation: true }, { now: () => at, output })
  function tellIt() {
    logger.info('x')
    logger.child({ a: 1 }).log('error', 'y')
  }
  tellIt()
  for (const written of lines) assert.match(written, / file="?logging\.test\.ts:\d+"? func=tellIt/)
})

describe('the log file', () => {
  test('SRV-CFG-034 AGT-CFG-024 is appended to and has mode 0640 whatever the umask', t => {
    const path = join(folder(t), 'a.log')
    {
      using logger = openLogger({ ...text, file: path }, { now: () => at })
      logger.info('one')
    }
    assert.equal(statSync(path).mode & 0o777, 0o640)
    {
      using logger = openLogger({ ...text, file: path }, { now: () => at })
      logger.info('two')
    }
    assert.deepEqual(readFileSync(path, 'utf8').match(/msg=\w+/g), ['msg=one', 'msg=two'])
  })

  test('SRV-RUN-022 AGT-CFG-024 is opened anew after a rotation; if that fails the old one goes on', t => {
    const path = join(folder(t), 'a.log')
    using logger = openLogger({ ...text, file: path }, { now: () => at })
    logger.info('one')
    renameSync(path, `${path}.1`)
    logger.info('two')
    logger.reopen()
    logger.info('three')
    assert.deepEqual(readFileSync(`${path}.1`, 'utf8').match(/msg=\w+/g), ['msg=one', 'msg=two'])
    assert.deepEqual(readFileSync(path, 'utf8').match(/msg=\w+/g), ['msg=three'])
    renameSync(path, `${path}.2`)
    symlinkSync('/', path)
    logger.reopen()
    logger.info('four')
    assert.match(
      readFileSync(`${path}.2`, 'utf8'),
      /msg="Failed to rotate log after signal" error="cannot write to log file .*\n.*msg=four\n$/,
    )
  })

  test('that cannot be opened is an error with its path', t => {
    const path = folder(t)
    assert.throws(
      () => logToFile(path),
      (error: unknown) => error instanceof LogError && error.message.includes(path),
    )
    assert.throws(() => logToFile(join(path, 'no', 'such')), { code: 'ERR_LOG_FILE' })
  })

  test('on a full disk loses lines, not the program', () => {
    using output = logToFile('/dev/full')
    output.write('x\n')
    output.write('y\n')
  })

  test('has every line when the program crashes', async t => {
    const path = join(folder(t), 'a.log')
    const script = join(folder(t), 'crash.ts')
    writeFileSync(
      script,
      `import { openLogger } from ${JSON.stringify(new URL('./root-logger.ts', import.meta.url).href)}
       const logger = openLogger({ level: 'info', format: 'text', sourceLocation: false, file: ${JSON.stringify(path)} })
       for (let i = 0; i < 1000; i += 1) logger.info('line', { i })
       process.kill(process.pid, 'SIGKILL')`,
    )
    const child = spawn(process.execPath, [script], { stdio: 'ignore' })
    await new Promise(resolve => child.once('close', resolve))
    assert.equal(readFileSync(path, 'utf8').split('\n').length, 1001)
  })
})

test('a stream that nobody reads any more does not end the program', async () => {
  const stream = new PassThrough()
  using output = logToStream(stream)
  output.write('x\n')
  stream.destroy(new Error('EPIPE'))
  await new Promise(resolve => setImmediate(resolve))
  output.write('y\n')
})

test('for tests there are a silent and a recording logger', () => {
  silentLogger.child({}).error('x')
  assert.equal(silentLogger.isEnabled('panic'), false)
  const logger = recordingLogger()
  logger.child({ a: 1 }).warn('x', { b: 2 })
  assert.deepEqual(logger.events, [{ level: 'warn', message: 'x', fields: { a: 1, b: 2 } }])
})
