import { z } from 'zod'

/** What a key's schema may say about itself beside its type; read by the section reader and by the documentation. */
export interface KeyMeta {
  /** Known to SPIRE, not built in this version: refused unless it holds its default. */
  readonly notBuilt?: boolean | undefined
  /** Accepted without effect, because what it asks for always holds here; says why. */
  readonly superseded?: string | undefined
  /** The values that a text may have. */
  readonly enum?: readonly string[] | undefined
  /** How the documentation writes the default, where it is not a constant. */
  readonly defaultText?: string | undefined
  /** The kind of value as the documentation calls it. */
  readonly kind?: string | undefined
  readonly description?: string | undefined
}

/** The type behind defaults, optionality and transformations: what a text must be. */
export function inputSchema(schema: z.ZodType): z.ZodType {
  let inner = schema
  for (;;) {
    if (
      inner instanceof z.ZodOptional ||
      inner instanceof z.ZodDefault ||
      inner instanceof z.ZodPrefault ||
      inner instanceof z.ZodNullable ||
      inner instanceof z.ZodReadonly
    )
      inner = inner.unwrap() as z.ZodType
    else if (inner instanceof z.ZodPipe) inner = inner.in as z.ZodType
    else return inner
  }
}

/** The metadata of the schema or of what it wraps; the outermost wins. */
export function keyMeta(schema: z.ZodType): KeyMeta {
  const metas: KeyMeta[] = []
  let inner: z.ZodType | undefined = schema
  while (inner !== undefined) {
    metas.push((inner.meta() ?? {}) as KeyMeta)
    if (
      inner instanceof z.ZodOptional ||
      inner instanceof z.ZodDefault ||
      inner instanceof z.ZodPrefault ||
      inner instanceof z.ZodNullable ||
      inner instanceof z.ZodReadonly
    )
      inner = inner.unwrap() as z.ZodType
    else if (inner instanceof z.ZodPipe) inner = inner.in as z.ZodType
    else inner = undefined
  }
  return Object.assign({}, ...metas.toReversed()) as KeyMeta
}

/** Members of an object schema by name. */
export function members(schema: z.ZodObject): ReadonlyMap<string, z.ZodType> {
  return new Map(Object.entries(schema.shape as Record<string, z.ZodType>))
}
