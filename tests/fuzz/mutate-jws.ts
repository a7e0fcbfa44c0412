import type { Random } from './target.ts'
import { textOf } from './text.ts'

const VALUES = [
  'null',
  '0',
  '-1',
  '1e400',
  '""',
  '"none"',
  '"HS256"',
  '"RS256"',
  '"ES384"',
  '[]',
  '{}',
  'true',
  '"\\u0000"',
  '9007199254740993',
]
const MEMBERS = [
  'alg',
  'kid',
  'typ',
  'crit',
  'b64',
  'zip',
  'jku',
  'jwk',
  'x5u',
  'x5c',
  'p2c',
  'epk',
  '__proto__',
  'exp',
  'aud',
  'sub',
  'iat',
  'nbf',
  'cnf',
]

/** Changes the JSON inside one part of a compact JWS. Undefined if it is none. */
export function mutateJws(input: Uint8Array, random: Random): Uint8Array | undefined {
  const parts = textOf(input).split('.')
  if (parts.length !== 3) return undefined
  const change = random.int(5)
  if (change === 0) {
    const [a, b] = [random.int(3), random.int(3)]
    ;[parts[a], parts[b]] = [parts[b] as string, parts[a] as string]
  } else if (change === 1) {
    parts[random.int(3)] += random.pick(['=', '==', ' ', '\n', '.', '+', '/', 'A'])
  } else {
    const index = random.int(2)
    const json = Buffer.from(parts[index] as string, 'base64url').toString('utf8')
    parts[index] = Buffer.from(changeJson(json, random), 'utf8').toString('base64url')
  }
  return Buffer.from(parts.join('.'), 'utf8')
}

/** Adds a member, doubles one, or replaces a value, as text, so that what JSON.parse would repair stays. */
export function changeJson(json: string, random: Random): string {
  const member = `"${random.pick(MEMBERS)}":${random.pick(VALUES)}`
  switch (random.int(5)) {
    case 0:
      return json.replace('{', `{${member},`)
    case 1:
      return json.replace(/\}\s*$/, `,${member}}`)
    case 2: {
      const values = [...json.matchAll(/:("[^"]*"|[0-9.eE+-]+|true|false|null)/g)]
      if (values.length === 0) return json
      const { index, 0: text } = random.pick(values)
      return `${json.slice(0, index)}:${random.pick(VALUES)}${json.slice(index + text.length)}`
    }
    case 3:
      return `${random.pick([' ', '\n', '\ufeff', '[', '{'])}${json}`
    default:
      return `${'['.repeat(random.int(random.chance(80) ? 10 : 5000))}${json}`
  }
}
