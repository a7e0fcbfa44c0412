import * as entryV1 from '@plastron/api/entry-v1'
import { counted } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { entryFilter, entryFilterFlags } from './entry-filter.ts'

export const entryCount = adminCommand({
  name: 'entry count',
  summary: 'Counts registration entries',
  flags: entryFilterFlags('count'),
  run: async (values, { client, print }) => {
    const response = await client.call(entryV1.Entry.method.countEntries, { filter: entryFilter(values) })
    print(
      entryV1.CountEntriesResponseSchema,
      response,
      () => `${counted(response.count, 'registration entry', 'registration entries')}\n`,
    )
  },
})
