import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { boolFlag, durationFlag, intFlag, listFlag, textFlag, triStateFlag } from './flag-definitions.ts'
import { FlagError, goUsage, parseGoFlags } from './parse-flags.ts'

const definitions = {
  spiffeID: textFlag('The SPIFFE ID'),
  socketPath: textFlag('Path to the socket', '/tmp/api.sock'),
  ttl: intFlag('TTL in seconds', 600),
  dryRun: boolFlag('Change nothing'),
  expiredFor: durationFlag('How long', '720h'),
  selector: listFlag('Can be used more than once'),
  banned: triStateFlag('true, false or all'),
}

function refusal(args: string[]): FlagError {
  try {
    parseGoFlags(definitions, args)
  } catch (error) {
    assert.ok(error instanceof FlagError)
    return error
  }
  throw new Error(`${args.join(' ')} was accepted`)
}

describe('parseGoFlags', () => {
  test('gives every flag its default when none is given', () => {
    const { values, given, operands } = parseGoFlags(definitions, [])
    assert.deepEqual(
      { ...values },
      {
        spiffeID: '',
        socketPath: '/tmp/api.sock',
        ttl: 600,
        dryRun: false,
        expiredFor: 2_592_000_000,
        selector: [],
        banned: undefined,
      },
    )
    assert.equal(given.size, 0)
    assert.deepEqual(operands, [])
  })

  test('SRV-RUN-001 takes one dash or two, with = or a following value', () => {
    for (const args of [['-ttl', '5'], ['--ttl', '5'], ['-ttl=5'], ['--ttl=5'], ['-ttl=0x5'], ['-ttl=+5']]) {
      assert.equal(parseGoFlags(definitions, args).values.ttl, 5, args.join(' '))
    }
  })

  test('a boolean never swallows the next word and takes a value only after =', () => {
    assert.deepEqual(parseGoFlags(definitions, ['-dryRun', 'false']).operands, ['false'])
    assert.equal(parseGoFlags(definitions, ['-dryRun']).values.dryRun, true)
    for (const text of ['1', 't', 'T', 'true', 'TRUE', 'True'])
      assert.equal(parseGoFlags(definitions, [`-dryRun=${text}`]).values.dryRun, true)
    for (const text of ['0', 'f', 'F', 'false', 'FALSE', 'False'])
      assert.equal(parseGoFlags(definitions, [`-dryRun=${text}`]).values.dryRun, false)
    assert.equal(refusal(['-dryRun=yes']).message, 'invalid boolean value "yes" for -dryRun: parse error')
  })

  test('a value may begin with a dash', () => {
    assert.equal(parseGoFlags(definitions, ['-spiffeID', '-ttl']).values.spiffeID, '-ttl')
  })

  test('a repeated list keeps all values, a repeated text the last', () => {
    const { values } = parseGoFlags(definitions, [
      '-selector',
      'a:b',
      '-selector=c:d=e',
      '-spiffeID',
      'x',
      '-spiffeID',
      'y',
    ])
    assert.deepEqual(values.selector, ['a:b', 'c:d=e'])
    assert.equal(values.spiffeID, 'y')
  })

  test('stops at the first operand, at - and after --', () => {
    assert.deepEqual(parseGoFlags(definitions, ['-dryRun', 'here', '-ttl', '5']).operands, ['here', '-ttl', '5'])
    assert.deepEqual(parseGoFlags(definitions, ['-', '-ttl']).operands, ['-', '-ttl'])
    assert.deepEqual(parseGoFlags(definitions, ['--', '-ttl']).operands, ['-ttl'])
  })

  test('refuses what is unknown, incomplete or malformed, in Go’s words', () => {
    assert.equal(refusal(['-bogus']).message, 'flag provided but not defined: -bogus')
    assert.equal(refusal(['-ttl']).message, 'flag needs an argument: -ttl')
    assert.equal(refusal(['-ttl', 'x']).message, 'invalid value "x" for flag -ttl: parse error')
    assert.equal(refusal(['-ttl', '1e3']).message, 'invalid value "1e3" for flag -ttl: parse error')
    assert.equal(
      refusal(['-ttl', '99999999999999999999']).message,
      'invalid value "99999999999999999999" for flag -ttl: value out of range',
    )
    assert.equal(refusal(['-expiredFor', '5']).message, 'invalid value "5" for flag -expiredFor: parse error')
    assert.equal(refusal(['---ttl']).message, 'bad flag syntax: ---ttl')
    assert.equal(refusal(['-=5']).message, 'bad flag syntax: -=5')
    assert.equal(refusal(['-__proto__', 'x']).message, 'flag provided but not defined: -__proto__')
  })

  test('SRV-RUN-024 -h, -help and --help ask for the usage', () => {
    for (const text of ['-h', '-help', '--help']) assert.equal(refusal([text]).code, 'ERR_FLAG_HELP')
  })

  test('SRV-CLI-025 a filter of three states takes true, false, and anything else for all', () => {
    assert.equal(parseGoFlags(definitions, ['-banned', 'true']).values.banned, true)
    assert.equal(parseGoFlags(definitions, ['-banned', 'false']).values.banned, false)
    assert.equal(parseGoFlags(definitions, ['-banned', 'whatever']).values.banned, undefined)
    assert.equal(refusal(['-banned']).message, 'flag needs an argument: -banned')
  })

  test('durations are Go’s, in milliseconds', () => {
    const of = (text: string) => parseGoFlags(definitions, ['-expiredFor', text]).values.expiredFor
    assert.equal(of('1h30m'), 5_400_000)
    assert.equal(of('-1.5s'), -1500)
    assert.equal(of('250ms'), 250)
    assert.equal(of('0'), 0)
  })
})

describe('goUsage', () => {
  test('lists flags by name with kind, description and default', () => {
    const { ttl, dryRun, selector, socketPath } = definitions
    assert.equal(
      goUsage('token generate', { ttl, dryRun, selector, socketPath }),
      `Usage of token generate:
  -dryRun
    \tChange nothing
  -selector value
    \tCan be used more than once
  -socketPath string
    \tPath to the socket (default "/tmp/api.sock")
  -ttl int
    \tTTL in seconds (default 600)
`,
    )
  })
})
