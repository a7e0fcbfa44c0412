// Loaded only for -data and -file: what checks a file's shape takes longer to load than all else that a command needs.
import { z } from 'zod'

const uint31 = z.number().int().min(0).max(2_147_483_647)

/** One entry of a `-data` file. Keys are SPIRE's, `entryExpiry` included; unknown keys are ignored as SPIRE ignores them. */
const entry = z.object({
  entry_id: z.string().default(''),
  spiffe_id: z.string(),
  parent_id: z.string(),
  selectors: z.array(z.object({ type: z.string(), value: z.string() })).default([]),
  x509_svid_ttl: uint31.default(0),
  jwt_svid_ttl: uint31.default(0),
  federates_with: z.array(z.string()).default([]),
  admin: z.boolean().default(false),
  downstream: z.boolean().default(false),
  entryExpiry: z.number().int().default(0),
  dns_names: z.array(z.string()).default([]),
  store_svid: z.boolean().default(false),
  hint: z.string().default(''),
  additional_attributes: z
    .object({
      disable_x509_svid_prefetch: z.boolean().default(false),
      jwt_svid_include_jti: z.boolean().default(false),
    })
    .optional(),
})

const entries = z.object({ entries: z.array(entry) })
const ids = z.object({ ids: z.array(z.string()) })

/** What a `-data` file holds, with its defaults filled in. */
export type EntryDocument = z.infer<typeof entry>

/** Reads what a `-data` file holds. @throws Error whose message says, line by line, which member is wrong */
export function parseEntries(value: unknown): readonly EntryDocument[] {
  return checked(value, entries).entries
}

/** Reads what a `-file` of `entry delete` holds. @throws Error as {@link parseEntries} */
export function parseIds(value: unknown): string[] {
  return checked(value, ids).ids
}

function checked<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error))
  return parsed.data
}
