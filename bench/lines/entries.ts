import { fromBinary } from '@bufbuild/protobuf'
import { entryV1 } from '@plastron/api'
import { connectUnix } from '../connect.ts'
import { entryOf, type NewEntry } from '../entries.ts'
import type { GrpcConnection } from '../grpc-connection.ts'
import type { Figures, LineGroup } from '../line.ts'
import { measure } from '../load.ts'
import { cpuPercentWhile, residentOf } from '../observe.ts'
import { encode, pathOf } from '../rpc.ts'
import type { StartedTarget } from '../target.ts'
import { freshLines, settle } from './fresh-line.ts'

const { batchCreateEntry, listEntries } = entryV1.Entry.method
const batch = 50

/** Twenty entries to a parent, each with a selector of its own. */
export const distinct = (trustDomain: string, number: number): NewEntry =>
  entryOf(trustDomain, `/bench/${number}`, `/node/${Math.floor(number / 20)}`, [
    `unix:uid:${number}`,
    'unix:path:/usr/bin/app',
  ])

/** Everything below one parent, with one selector. */
const alike = (trustDomain: string, number: number): NewEntry =>
  entryOf(trustDomain, `/bench/${number}`, '/node', ['unix:uid:0'])

/** Creates the entries with the numbers from `from` to `to`, in batches of 50, four at once. */
export async function create(
  target: StartedTarget,
  kind: (trustDomain: string, number: number) => NewEntry,
  from: number,
  to: number,
): Promise<Figures> {
  using admin = await connectUnix(target.serverSocket)
  const path = pathOf(batchCreateEntry)
  return await measure({
    operations: Math.ceil((to - from) / batch),
    itemsPerOperation: batch,
    concurrency: 4,
    pid: target.serverPid,
    run: async index => {
      const entries = Array.from({ length: Math.min(batch, to - from - index * batch) }, (_, item) =>
        kind(target.trustDomain, from + index * batch + item),
      )
      const answer = await admin.unary(path, encode(batchCreateEntry.input, { entries }))
      const refused = fromBinary(batchCreateEntry.output, answer).results.find(({ status }) => status?.code !== 0)
      if (refused !== undefined) throw new Error(`an entry was refused: ${refused.status?.message}`)
    },
  })
}

async function listAll(admin: GrpcConnection): Promise<number> {
  let listed = 0
  for (let pageToken = ''; ; ) {
    const request = encode(listEntries.input, { pageSize: 500, pageToken })
    const page = fromBinary(listEntries.output, await admin.unary(pathOf(listEntries), request))
    listed += page.entries.length
    pageToken = page.nextPageToken
    if (pageToken === '') return listed
  }
}

/** Entries with selectors of their own: creating, keeping and listing them. */
export const distinctEntryLines: LineGroup = freshLines({
  lines: {
    'create-entries': 'entries created over the admin socket in batches of 50, 4 at once, from 1,000 to 50,000 entries',
    'hold-entries': '50,000 entries and nobody connected: growth of the server for each, its CPU',
    'list-entries': '50,000 entries listed in pages of 500',
    'create-entries-100k': '5,000 entries created as before, on top of 100,000',
  },
  run: async (contestant, effort) => {
    await using target = await contestant.fresh()
    const many = effort.count(50_000)
    await create(target, distinct, 0, 1_000)
    await settle(Math.max(1, effort.seconds(5)) * 1000)
    const before = residentOf(target.serverPid)
    const created = await create(target, distinct, 1_000, 1_000 + many)
    await settle(effort.seconds(20) * 1000)
    const cpuPercent = await cpuPercentWhile(target.serverPid, () => settle(Math.max(1, effort.seconds(20)) * 1000))
    const bytesEach = (residentOf(target.serverPid) - before) / many
    using admin = await connectUnix(target.serverSocket)
    const listed = await measure({
      operations: 3,
      itemsPerOperation: 1_000 + many,
      concurrency: 1,
      pid: target.serverPid,
      run: async () => {
        const count = await listAll(admin)
        if (count !== 1_000 + many) throw new Error(`${count} entries were listed`)
      },
    })
    const { perSecond = 0, cpuMicroseconds } = listed
    const figures = {
      'create-entries': created,
      'hold-entries': { bytesEach, cpuPercent },
      'list-entries': cpuMicroseconds === undefined ? { perSecond } : { perSecond, cpuMicroseconds },
    }
    if (contestant.program?.fillsFast !== true) return figures
    await create(target, distinct, 1_000 + many, 2 * many)
    const onTop = await create(target, distinct, 2 * many, 2 * many + effort.count(5_000))
    return { ...figures, 'create-entries-100k': onTop }
  },
})

/** Entries that share their parent and their selector. SPIRE's time for them grows with their square: it is not asked for many. */
export const alikeEntryLines: LineGroup = freshLines({
  lines: {
    'create-alike': '4,000 entries that share parent and selector created on top of 1,000 such',
    'create-alike-100k': '4,000 such entries on top of 100,000',
  },
  run: async (contestant, effort) => {
    await using target = await contestant.fresh()
    const count = effort.count(4_000)
    await create(target, alike, 0, 1_000)
    const figures = { 'create-alike': await create(target, alike, 1_000, 1_000 + count) }
    if (contestant.program?.fillsFast !== true) return figures
    const many = effort.count(100_000)
    await create(target, alike, 1_000 + count, many)
    return { ...figures, 'create-alike-100k': await create(target, alike, many, many + count) }
  },
})
