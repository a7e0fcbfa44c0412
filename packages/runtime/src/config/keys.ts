import { z } from 'zod'
import { parseGoDuration } from '../flags/flag-definitions.ts'

// The kinds of values that keys of configuration files have. Each is optional: what is required is checked where its message can be said.

/** A Go duration (`1h30m`) as milliseconds; 0 counts as not set. `fallback` is the default, as text. */
export function duration(fallback: string, description: string) {
  const initial = parseGoDuration(fallback)
  return z
    .string()
    .optional()
    .transform((text, context) => (text === undefined ? initial : readDuration(text, context) || initial))
    .meta({ description, kind: 'duration', defaultText: fallback === '0s' ? 'unset' : fallback })
}

/** A Go duration as milliseconds; absent or 0: undefined. `defaultText` says what happens then. */
export function optionalDuration(defaultText: string, description: string) {
  return z
    .string()
    .optional()
    .transform((text, context) => (text === undefined ? undefined : readDuration(text, context) || undefined))
    .meta({ description, kind: 'duration', defaultText })
}

function readDuration(text: string, context: z.RefinementCtx): number {
  let ms = Number.NaN
  try {
    ms = parseGoDuration(text)
  } catch {
    // Told below.
  }
  if (ms >= 0) return ms
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not a duration such as 30s, 5m or 1h30m` })
  return z.NEVER
}

/** One of a few names, in any case. */
export function choice<const Names extends readonly [string, ...string[]]>(
  names: Names,
  fallback: Names[number],
  description: string,
) {
  return optionalChoice(names, JSON.stringify(fallback), description)
    .transform(name => name ?? fallback)
    .meta({ description, kind: 'text', enum: [...names], defaultText: JSON.stringify(fallback) })
}

/** One of a few names, in any case; absent: undefined. */
export function optionalChoice<const Names extends readonly [string, ...string[]]>(
  names: Names,
  defaultText: string,
  description: string,
) {
  return z
    .string()
    .optional()
    .transform((text, context): Names[number] | undefined => {
      if (text === undefined) return undefined
      const name = names.find(candidate => candidate === text.toLowerCase())
      if (name !== undefined) return name
      context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not one of ${names.join(', ')}` })
      return z.NEVER
    })
    .meta({ description, kind: 'text', enum: [...names], defaultText })
}

/** A text; absent: undefined. */
export function text(description: string, defaultText = 'unset') {
  return z.string().optional().meta({ description, kind: 'text', defaultText })
}

/** A text; absent: `fallback`. */
export function textOr(fallback: string, description: string) {
  return z
    .string()
    .default(fallback)
    .meta({ description, kind: 'text', defaultText: JSON.stringify(fallback) })
}

/** `true` or `false`; absent: `fallback`. */
export function flag(fallback: boolean, description: string) {
  return z
    .boolean()
    .default(fallback)
    .meta({ description, kind: 'boolean', defaultText: String(fallback) })
}

/** A list of texts; absent: empty. */
export function texts(description: string) {
  return z.array(z.string()).default([]).meta({ description, kind: 'list of texts', defaultText: '[]' })
}

/** A whole number of at least `minimum`. */
export function whole(fallback: number, description: string, minimum = 0) {
  return z
    .int()
    .min(minimum, { error: issue => `${String(issue.input)} is less than ${minimum}` })
    .default(fallback)
    .meta({ description, kind: 'number', defaultText: String(fallback) })
}

/** A TCP port; absent: undefined. */
export function optionalPort(description: string, defaultText = 'required') {
  return z.int().optional().check(portCheck).meta({ description, kind: 'port', defaultText })
}

/** A TCP port, 0 to 65,535; absent: `fallback`. */
export function port(fallback: number, description: string) {
  return z
    .int()
    .default(fallback)
    .check(portCheck)
    .meta({ description, kind: 'port', defaultText: String(fallback) })
}

function portCheck(context: z.core.ParsePayload<number | undefined>): void {
  const { value } = context
  if (value !== undefined && (value < 0 || value > 65_535))
    context.issues.push({ code: 'custom', input: value, message: `${value} is not a port` })
}

/** Known to SPIRE, not built in this version: refused unless it holds its default. */
export function notBuilt<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ ...schema.meta(), notBuilt: true }) as Schema
}

/** Accepted without effect, because what it asks for always holds here; `why` says so to the operator. */
export function superseded<Schema extends z.ZodType>(schema: Schema, why: string): Schema {
  return schema.meta({ ...schema.meta(), superseded: why }) as Schema
}
