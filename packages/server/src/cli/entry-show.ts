import { create } from '@bufbuild/protobuf'
import * as entryV1 from '@plastron/api/entry-v1'
import type { Entry } from '@plastron/api/types/entry'
import { CliError, counted, textFlag } from '@plastron/runtime/cli'
import { adminCommand } from './admin-command.ts'
import { entryBlock, spiffeIdText } from './entry-block.ts'
import { entryFilter, entryFilterFlags } from './entry-filter.ts'

const pageSize = 500

export const entryShow = adminCommand({
  name: 'entry show',
  summary: 'Displays configured registration entries',
  flags: { ...entryFilterFlags('show'), entryID: textFlag('The Entry ID of the records to show') },
  run: async (values, { client, print }) => {
    const entries: Entry[] = []
    if (values.entryID !== '') {
      if (values.spiffeID !== '' || values.parentID !== '' || values.selector.length > 0) {
        throw new CliError('the -entryID flag can not be combined with others')
      }
      entries.push(await client.call(entryV1.Entry.method.getEntry, { id: values.entryID }))
    } else {
      const filter = entryFilter(values)
      let pageToken = ''
      do {
        const page = await client.call(entryV1.Entry.method.listEntries, { filter, pageSize, pageToken })
        entries.push(...page.entries)
        pageToken = page.nextPageToken
      } while (pageToken !== '')
    }
    entries.sort(byIdentity)
    const response = create(entryV1.ListEntriesResponseSchema, { entries })
    print(entryV1.ListEntriesResponseSchema, response, () => {
      return `Found ${counted(entries.length, 'entry', 'entries')}\n${entries.map(entryBlock).join('')}`
    })
  },
})

/** By SPIFFE ID, parent, TTLs and selectors, so that two runs can be compared by eye. */
function byIdentity(a: Entry, b: Entry): number {
  return (
    compare(spiffeIdText(a.spiffeId), spiffeIdText(b.spiffeId)) ||
    compare(spiffeIdText(a.parentId), spiffeIdText(b.parentId)) ||
    a.x509SvidTtl - b.x509SvidTtl ||
    a.jwtSvidTtl - b.jwtSvidTtl ||
    compare(selectorsText(a), selectorsText(b))
  )
}

function selectorsText(entry: Entry): string {
  return entry.selectors.map(({ type, value }) => `${type}:${value}`).join('\n')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
