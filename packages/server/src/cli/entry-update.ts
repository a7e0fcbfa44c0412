import { create } from '@bufbuild/protobuf'
import * as entryV1 from '@plastron/api/entry-v1'
import { type Entry, Entry_AdditionalAttributesSchema } from '@plastron/api/types/entry'
import { CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { statusText } from './arguments.ts'
import { entryBlock } from './entry-block.ts'
import { entryFlags, entryFromFlags } from './entry-flags.ts'

export const entryUpdate = adminCommand({
  name: 'entry update',
  summary: 'Updates registration entries',
  flags: { ...entryFlags, entryID: textFlag('The Registration Entry ID of the record to update') },
  run: async (values, { client, streams, json, print }) => {
    let entries: Entry[]
    if (values.data === '') {
      if (values.entryID === '') throw new CliError('entry ID is required')
      const entry = entryFromFlags(values, values.entryID)
      // One attribute alone is set without clearing the other, so the stored entry says what the other one is.
      if (values.disableX509SVIDPrefetch !== values.jwtSVIDIncludeJTI) {
        const stored = await client.call(entryV1.Entry.method.getEntry, {
          id: values.entryID,
          outputMask: { additionalAttributes: true },
        })
        entry.additionalAttributes = create(Entry_AdditionalAttributesSchema, {
          disableX509SvidPrefetch:
            values.disableX509SVIDPrefetch || (stored.additionalAttributes?.disableX509SvidPrefetch ?? false),
          jwtSvidIncludeJti: values.jwtSVIDIncludeJTI || (stored.additionalAttributes?.jwtSvidIncludeJti ?? false),
        })
      }
      entries = [entry]
    } else entries = await (await import('./entry-data.ts')).readEntryData(values.data, streams)
    const response = await client.call(entryV1.Entry.method.batchUpdateEntry, { entries })
    const updated = response.results.flatMap(({ status, entry }) =>
      status?.code === 0 && entry !== undefined ? [entry] : [],
    )
    print(entryV1.BatchUpdateEntryResponseSchema, response, () => updated.map(entryBlock).join(''))
    if (json || updated.length === response.results.length) return
    response.results.forEach(({ status }, index) => {
      const requested = entries[index]
      if (status?.code === 0 || requested === undefined) return
      streams.err(`Failed to update the following entry ${statusText(status)}:\n${entryBlock(requested)}`)
    })
    throw new CliError('failed to update one or more entries')
  },
})
