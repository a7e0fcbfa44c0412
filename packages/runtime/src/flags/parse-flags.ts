import type { FlagDefinition, FlagDefinitions, FlagValues } from './flag-definitions.ts'

/** Why a command line was refused, in the words of Go's flag package; `help` when the user asked for the usage. */
export class FlagError extends Error {
  override readonly name = 'FlagError'
  /** `ERR_FLAG_HELP`: the usage was asked for. `ERR_FLAG_INVALID`: a flag or its value is refused. */
  readonly code: 'ERR_FLAG_HELP' | 'ERR_FLAG_INVALID'

  /** @param message - in the words of Go's flag package. */
  constructor(code: FlagError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** What a command line gave. */
export interface ParsedFlags<Flags extends FlagDefinitions> {
  /** A value for every flag: what was given, else its initial value. */
  readonly values: FlagValues<Flags>
  /** The names of the flags that were given, which tells an explicit default from an absent flag. */
  readonly given: ReadonlySet<string>
  /** What follows the flags. */
  readonly operands: readonly string[]
}

/**
 * Parses `args` as Go's flag package does: one dash or two; `-x=value` or `-x value`; a boolean takes a value only after
 * `=`; a value may begin with a dash; a flag may be repeated; parsing stops at the first operand, or after `--`.
 *
 * @throws {@link FlagError} `ERR_FLAG_HELP` for -h and -help where they are not defined, otherwise `ERR_FLAG_INVALID`
 */
export function parseGoFlags<Flags extends FlagDefinitions>(
  definitions: Flags,
  args: readonly string[],
): ParsedFlags<Flags> {
  const byName = new Map<string, FlagDefinition<unknown>>(Object.entries(definitions))
  const values = new Map<string, unknown>([...byName].map(([name, definition]) => [name, definition.initial]))
  const given = new Set<string>()
  let position = 0
  for (; position < args.length; position += 1) {
    const argument = args[position] ?? ''
    if (argument.length < 2 || argument[0] !== '-') break
    const dashes = argument[1] === '-' ? 2 : 1
    if (argument === '--') {
      position += 1
      break
    }
    const body = argument.slice(dashes)
    if (body === '' || body[0] === '-' || body[0] === '=')
      throw new FlagError('ERR_FLAG_INVALID', `bad flag syntax: ${argument}`)
    const equals = body.indexOf('=')
    const name = equals < 0 ? body : body.slice(0, equals)
    const definition = byName.get(name)
    if (definition === undefined) {
      if (name === 'h' || name === 'help') throw new FlagError('ERR_FLAG_HELP', 'flag: help requested')
      throw new FlagError('ERR_FLAG_INVALID', `flag provided but not defined: -${name}`)
    }
    let text: string
    if (equals >= 0) text = body.slice(equals + 1)
    else if (definition.kind === 'bool') text = 'true'
    else if (position + 1 < args.length) {
      position += 1
      text = args[position] ?? ''
    } else throw new FlagError('ERR_FLAG_INVALID', `flag needs an argument: -${name}`)
    try {
      values.set(name, definition.accept(text, values.get(name)))
    } catch (error) {
      const kind = definition.kind === 'bool' ? 'boolean value' : 'value'
      const reason = error instanceof Error ? error.message : String(error)
      throw new FlagError(
        'ERR_FLAG_INVALID',
        `invalid ${kind} ${JSON.stringify(text)} for ${definition.kind === 'bool' ? '' : 'flag '}-${name}: ${reason}`,
      )
    }
    given.add(name)
  }
  return { values: Object.fromEntries(values) as FlagValues<Flags>, given, operands: args.slice(position) }
}

/** The usage text of Go's flag package: flags sorted by name, each with its kind, its description and its default. */
export function goUsage(name: string, definitions: FlagDefinitions): string {
  const lines = Object.entries(definitions)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([flag, { kind, usage, defaultText }]) => {
      const suffix = defaultText === undefined ? '' : ` (default ${defaultText})`
      return `  -${flag}${kind === 'bool' ? '' : ` ${kind}`}\n    \t${usage.replaceAll('\n', '\n    \t')}${suffix}\n`
    })
  return `Usage of ${name}:\n${lines.join('')}`
}
