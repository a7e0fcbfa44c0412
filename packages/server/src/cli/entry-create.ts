import * as entryV1 from '@plastron/api/entry-v1'
import type { Entry } from '@plastron/api/types/entry'
import type { Status } from '@plastron/api/types/status'
import { boolFlag, CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { statusText } from './arguments.ts'
import { entryBlock } from './entry-block.ts'
import { entryFlags, entryFromFlags } from './entry-flags.ts'

export const entryCreate = adminCommand({
  name: 'entry create',
  summary: 'Creates registration entries',
  flags: {
    ...entryFlags,
    entryID: textFlag(
      'A custom ID for this registration entry (optional). If not set, a new entry ID will be generated',
    ),
    node: boolFlag('If set, this entry will be applied to matching nodes rather than workloads'),
  },
  run: async (values, { client, streams, json, print }) => {
    const entries =
      values.data === ''
        ? [entryFromFlags(values, values.entryID, values.node)]
        : await (await import('./entry-data.ts')).readEntryData(values.data, streams)
    const response = await client.call(entryV1.Entry.method.batchCreateEntry, { entries })
    const created: Entry[] = []
    const failed: (readonly [requested: Entry | undefined, status: Status | undefined])[] = []
    response.results.forEach((result, index) => {
      if (result.status?.code === 0 && result.entry !== undefined) created.push(result.entry)
      else failed.push([entries[index], result.status])
    })
    print(entryV1.BatchCreateEntryResponseSchema, response, () => created.map(entryBlock).join(''))
    if (json || failed.length === 0) return
    for (const [requested, status] of failed) {
      streams.err(
        `Failed to create the following entry ${statusText(status)}:\n${requested === undefined ? '' : entryBlock(requested)}`,
      )
    }
    throw new CliError('failed to create one or more entries')
  },
})
