import { readFile } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import { type Entry, EntrySchema } from '@plastron/api/types/entry'
import { CliError, type CliStreams } from '@plastron/runtime/cli'
import { parseId } from './arguments.ts'

/** Reads `-data`: a path, or `-` for standard input. */
export async function readEntryData(path: string, streams: CliStreams): Promise<Entry[]> {
  const { parseEntries } = await import('./entry-document.ts')
  return (await readJson(path, streams, parseEntries)).map((entry, index) =>
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
  const { parseIds } = await import('./entry-document.ts')
  return readJson(path, streams, parseIds)
}

/** Reads a JSON file, or standard input for `-`; an error names the file and what is wrong in it. */
async function readJson<T>(path: string, streams: CliStreams, parse: (value: unknown) => T): Promise<T> {
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
  try {
    return parse(value)
  } catch (error) {
    throw new CliError(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
