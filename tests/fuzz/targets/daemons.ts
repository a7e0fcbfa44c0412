import assert from 'node:assert/strict'
import { formatJson, formatText, ListenerError } from '@plastron/runtime'
import { ConfigError, expandEnvironment, parseConfigText } from '@plastron/runtime/config'
import { parseNames } from '../../../packages/agent/src/plugins/workload-attestor/unix/name-database.ts'
import {
  parseProcStatus,
  parseStartTime,
} from '../../../packages/agent/src/plugins/workload-attestor/unix/proc-status.ts'
import { parseGoBool, parseGoDuration, parseGoInt } from '../../../packages/runtime/src/flags/flag-definitions.ts'
import { parseProxyHeader } from '../../../packages/runtime/src/listeners/proxy-protocol.ts'
import type { FuzzTarget } from '../target.ts'
import { textOf } from '../text.ts'

const configTokens = [
  '{',
  '}',
  '[',
  ']',
  '=',
  ',',
  '"',
  '\\',
  '<<EOF\n',
  'EOF\n',
  '#',
  '//',
  '/*',
  '*/',
  '${',
  '$',
  '\n',
  '\t',
  '0x',
  '1e9',
  'true',
  'server {',
  'plugins {',
  '\u0000',
  '\ufeff',
  '__proto__',
  '&a',
  '*a',
  '!!js',
  '- ',
  ': ',
  '<<: ',
]

function config(name: string, path: string, maxMilliseconds: number, maxBytes: number): FuzzTarget {
  return {
    name,
    maxMilliseconds,
    maxBytes,
    kind: 'text',
    allows: error => error instanceof ConfigError,
    tokens: configTokens,
    run(input) {
      const tree = parseConfigText(textOf(input), path)
      return `${tree.kind}`
    },
  }
}

export const daemonTargets: readonly FuzzTarget[] = [
  config('config-hcl', 'fuzz.conf', 50, 65_536),
  // The parser is the package yaml's, and the files are the operator's own: read once, before anything is served.
  config('config-yaml', 'fuzz.yaml', 2000, 4096),
  {
    name: 'config-environment',
    kind: 'text',
    allows: () => false,
    tokens: ['$', '${', '}', '$$', 'HOME', '__proto__'],
    run(input) {
      const text = textOf(input)
      const expanded = expandEnvironment(text, { HOME: '/root', A: '$A' })
      if (!text.includes('$')) assert.equal(expanded, text)
      return `${text.length - expanded.length > 0}`
    },
  },
  {
    name: 'flag-values',
    kind: 'text',
    // A flag's value is refused with an Error that the flag parser puts into its message.
    allows: error => error instanceof Error && error.constructor === Error,
    tokens: ['1h', '30m', '.5s', 'ns', 'µs', '0x', '0b1', '-', '+', 'true', '1e9'],
    run(input) {
      const text = textOf(input)
      const attempts = [parseGoBool, parseGoInt, parseGoDuration].map(parse => {
        try {
          return typeof parse(text)
        } catch (error) {
          if (error instanceof Error && error.constructor === Error) return '-'
          throw error
        }
      })
      return attempts.join(' ')
    },
  },
  {
    name: 'proxy-protocol',
    kind: 'bytes',
    allows: error => error instanceof ListenerError,
    tokens: [
      'PROXY ',
      'TCP4 ',
      'TCP6 ',
      'UNKNOWN',
      '\r\n',
      ' ',
      '127.0.0.1',
      '::1',
      '65535',
      '\r\n\r\n\u0000\r\nQUIT\n',
      '\u0021\u0011',
    ],
    maxBytes: 8192,
    run(input) {
      const bytes = Buffer.from(input)
      const header = parseProxyHeader(bytes)
      if (header.kind === 'header') {
        assert.ok(header.bytes <= bytes.length)
        assert.deepEqual(parseProxyHeader(bytes.subarray(0, header.bytes)), header, 'what follows changes the header')
      }
      return header.kind === 'header' ? `header ${header.source === undefined}` : header.kind
    },
  },
  {
    name: 'proc-status',
    kind: 'text',
    allows: error => error instanceof TypeError && /^(?:status|stat|line)\b/.test(error.message),
    tokens: ['Uid:', 'Gid:', 'Groups:', '\t', '\n', '0', '4294967295', '4294967296', '-1', 'Name:\tUid:'],
    run(input) {
      const owner = parseProcStatus(textOf(input))
      assert.ok(
        [owner.uid, owner.gid, ...owner.supplementaryGids].every(id => Number.isInteger(id) && id >= 0 && id < 2 ** 32),
      )
      return `${Math.min(owner.supplementaryGids.length, 4)} groups`
    },
  },
  {
    name: 'proc-stat',
    kind: 'text',
    allows: error => error instanceof TypeError && /^(?:status|stat|line)\b/.test(error.message),
    tokens: ['(', ')', ' ', ') ', '\n', ' S ', '0', '-1'],
    run: input => `${parseStartTime(textOf(input)) > 0n}`,
  },
  {
    name: 'name-database',
    kind: 'text',
    allows: () => false,
    tokens: [':', '\n', '+', '-', '#', 'root:x:0:', '4294967295'],
    run: input => `${Math.min(parseNames(textOf(input)).size, 4)} names`,
  },
  {
    name: 'log-line',
    kind: 'text',
    allows: () => false,
    tokens: ['\n', '\r', '\u001b[2J', '\u2028', '\u0085', '"', '\\', '\u0000', '\ufeff', '\u202e'],
    run(input) {
      const text = textOf(input)
      const record = {
        at: new Date(0),
        level: 'info' as const,
        message: text,
        fields: { path: text, error: new Error(text), [text]: 1 },
      }
      for (const line of [formatText(record), formatJson(record)]) {
        assert.match(line, /^[^\p{Cc}\p{Zl}\p{Zp}]*\n$/u, 'one event is not one line')
      }
      return 'one line'
    },
  },
]
