// Loaded only for -data and -file: checking a file's shape takes longer to load than all else that a command needs.
import { readFile } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import { type Entry, EntrySchema } from '@plastron/api/types/entry'
import { CliError, type CliStreams } from '@plastron/runtime/cli'
import { z } from 'zod'
import { parseId } from './arguments.ts'

const uint31 = z.number().int().min(0).max(2_147_483_647)

/** One entry of a `-data` file. Keys are SPIRE's, `entryExpiry` included; unknown keys are ignored as SPIRE ignores them. */
const entrySchema = z.object({
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

const fileSchema = z.object({ entries: z.array(entrySchema) })
const idsSchema = z.object({ ids: z.array(z.string()) })

/** Reads `-data`: a path, or `-` for standard input. */
export async function readEntryData(path: string, streams: CliStreams): Promise<Entry[]> {
  const { entries } = await readJson(path, streams, fileSchema)
  return entries.map((entry, index) =>
    create(EntrySchema, {
      id: entry.entry_id,
      spiffeId: parseId(entry.spiffe_id, `entries[${index}].spiffe_id`),
      parentId: parseId(entry.parent_id, `entries[${index}].parent_id`),
      selectors: entry.selectors,
      x509SvidTtl: entry.x509_svid_ttl,
      jwtSvidTtl: entry.jwt_svid_ttl,
      federatesWith: entry.federates_with,
      admin: entry.admin,
      downstream: entry.downstream,
      expiresAt: BigInt(entry.entryExpiry),
      dnsNames: entry.dns_names,
      storeSvid: entry.store_svid,
      hint: entry.hint,
      ...(entry.additional_attributes === undefined
        ? {}
        : {
            additionalAttributes: {
              disableX509SvidPrefetch: entry.additional_attributes.disable_x509_svid_prefetch,
              jwtSvidIncludeJti: entry.additional_attributes.jwt_svid_include_jti,
            },
          }),
    }),
  )
}

/** Reads the ids of a file for `entry delete`: a path, or `-` for standard input. */
export async function readEntryIds(path: string, streams: CliStreams): Promise<string[]> {
  return (await readJson(path, streams, idsSchema)).ids
}

/** Reads a JSON file, or standard input for `-`, of the given shape; an error names the file and the member. */
async function readJson<T>(path: string, streams: CliStreams, schema: z.ZodType<T>): Promise<T> {
  const where = path === '-' ? 'standard input' : path
  const text = path === '-' ? await streams.readStdin() : await readFile(path, 'utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new CliError(`${where} is not JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
  const parsed = schema.safeParse(value)
  if (!parsed.success) throw new CliError(`${where}: ${z.prettifyError(parsed.error)}`)
  return parsed.data
}
