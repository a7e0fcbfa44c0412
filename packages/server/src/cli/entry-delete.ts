import * as entryV1 from '@plastron/api/entry-v1'
import { CliError, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { statusText } from './arguments.ts'

export const entryDelete = adminCommand({
  name: 'entry delete',
  summary: 'Deletes registration entries',
  flags: {
    entryID: textFlag('The Registration Entry ID of the record to delete.'),
    file: textFlag(
      "Path to a file containing a JSON structure for batch deletion (optional). If set to '-', read from stdin.",
    ),
  },
  run: async (values, { client, streams, json, print }) => {
    if (values.file === '' && values.entryID === '') throw new CliError('an entry ID is required')
    const ids =
      values.file === '' ? [values.entryID] : await (await import('./entry-data.ts')).readEntryIds(values.file, streams)
    const response = await client.call(entryV1.Entry.method.batchDeleteEntry, { ids })
    const deleted = response.results.filter(({ status }) => status?.code === 0)
    const failed = response.results.filter(({ status }) => status?.code !== 0)
    print(entryV1.BatchDeleteEntryResponseSchema, response, () => {
      const lines = deleted.map(({ id }) => `Deleted entry with ID: ${id}\n`).join('')
      const summary = deleted.length > 0 && ids.length > 1 ? `\nDeleted ${deleted.length} entries successfully\n` : ''
      return lines + summary
    })
    if (json || failed.length === 0) return
    for (const { id, status } of failed) streams.err(`Failed to delete entry with ID ${id} ${statusText(status)}\n`)
    throw new CliError('failed to delete one or more entries')
  },
})
