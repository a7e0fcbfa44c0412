/** A flag as data: the usage text and the parser both read it. `T` is the type of its value. */
export interface FlagDefinition<T> {
  /** What the usage text calls the value's type; `bool` takes no value. */
  readonly kind: 'string' | 'int' | 'bool' | 'duration' | 'value'
  /** One line for the usage text. */
  readonly usage: string
  /** The value when the flag is absent. */
  readonly initial: T
  /** Called for each time the flag is given; throws an Error whose message says what is wrong with `text`. */
  accept(text: string, sofar: T): T
  /** What the usage text prints as `(default …)`; absent: nothing. */
  readonly defaultText?: string | undefined
}

/** The flags of one command, by name without dashes. */
// biome-ignore lint/suspicious/noExplicitAny: the flags of one command have values of any types; FlagValues recovers each
export type FlagDefinitions = Readonly<Record<string, FlagDefinition<any>>>

/** The parsed values: a member per flag, under the flag's name. */
export type FlagValues<Flags extends FlagDefinitions> = {
  readonly [Name in keyof Flags]: Flags[Name] extends FlagDefinition<infer T> ? T : never
}

/** A flag with a text; the last one given counts. */
export function textFlag(usage: string, initial = ''): FlagDefinition<string> {
  return {
    kind: 'string',
    usage,
    initial,
    accept: text => text,
    defaultText: initial === '' ? undefined : JSON.stringify(initial),
  }
}

/** A flag without a value, or with what Go reads as a boolean: `-x`, `-x=false`. */
export function boolFlag(usage: string): FlagDefinition<boolean> {
  return { kind: 'bool', usage, initial: false, accept: parseGoBool }
}

/** A whole number within 64 bits as Go reads it: decimal, 0x, 0o, 0b. Values must be safe integers. */
export function intFlag(usage: string, initial = 0): FlagDefinition<number> {
  return { kind: 'int', usage, initial, accept: parseGoInt, defaultText: initial === 0 ? undefined : String(initial) }
}

/** A Go duration (`1h30m`), as milliseconds. */
export function durationFlag(usage: string, initialText = '0s'): FlagDefinition<number> {
  return {
    kind: 'duration',
    usage,
    initial: parseGoDuration(initialText),
    accept: parseGoDuration,
    defaultText: initialText === '0s' ? undefined : initialText,
  }
}

/** A flag that may be given many times. */
export function listFlag(usage: string): FlagDefinition<readonly string[]> {
  return { kind: 'value', usage, initial: [], accept: (text, sofar) => [...sofar, text] }
}

/** `true` and `false` filter; any other text filters nothing. */
export function triStateFlag(usage: string): FlagDefinition<boolean | undefined> {
  return {
    kind: 'value',
    usage,
    initial: undefined,
    accept: text => (text === 'true' ? true : text === 'false' ? false : undefined),
  }
}

export function parseGoBool(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  throw new Error('parse error')
}

export function parseGoInt(text: string): number {
  if (!/^[+-]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[1-9][0-9]*|0)$/.test(text)) throw new Error('parse error')
  const digits = text.replace(/^[+-]/, '').replace(/^0([0-7]+)$/, '0o$1')
  const value = (text.startsWith('-') ? -1 : 1) * Number(digits)
  if (!Number.isSafeInteger(value)) throw new Error('value out of range')
  return value
}

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/**
 * A duration as Go writes it, such as `1h30m` or `-1.5s`, in milliseconds.
 * @throws Error with Go's words for what is none or is beyond 2^63 ns
 */
export function parseGoDuration(text: string): number {
  // Written so that digits can be matched in one way only: `\d+\.?\d*` takes quadratic time on a long number.
  const match = /^([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text)
  if (match === null) throw new Error('parse error')
  if (match[2] === '0') return 0
  let total = 0
  for (const [, number, unit] of (match[2] ?? '').matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    total += Number(number) * (unitMs[unit ?? ''] ?? 0)
  }
  if (total > 9_223_372_036_854) throw new Error('value out of range')
  return match[1] === '-' ? -total : total
}
