import type { Clock, Logger } from '@plastron/runtime'
import type { Authorities } from './authority/authorities.ts'
import type { ServerConfig } from './config/server-config.ts'
import type { Datastore } from './datastore/index.ts'
import type { ServerSvid } from './endpoints/server-svid.ts'

/** What is done again and again while a server runs. */
export interface MaintenanceOptions {
  readonly config: ServerConfig
  readonly datastore: Datastore
  /** When the next entry ends, in seconds since 1970; known without asking the datastore. Undefined when none does. */
  readonly nextExpiry: () => number | undefined
  readonly authorities: Authorities
  readonly svid: ServerSvid
  readonly clock: Clock
  readonly log: Logger
}

/** One kind of work, and how often. */
export interface MaintenanceTask {
  readonly name: string
  readonly everyMs: number
  readonly run: () => Promise<void>
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const keptChanges = 10_000
const pruneBatch = 500

/** The recurring work of a server. What fails is logged and done again at its next turn; it never stops the server. */
export function maintenanceTasks({
  config,
  datastore,
  nextExpiry,
  authorities,
  svid,
  clock,
  log,
}: MaintenanceOptions): MaintenanceTask[] {
  const nowSeconds = () => Math.floor(clock.now().getTime() / 1000)
  let pruneAgainAt = 0
  const prune = config.pruneAttestedNodes
  const tasks: MaintenanceTask[] = [
    { name: 'ca_rotator', everyMs: 10_000, run: () => authorities.rotate() },
    { name: 'svid_rotator', everyMs: 5_000, run: () => svid.renewIfDue() },
    { name: 'bundle_pruner', everyMs: 6 * hourMs, run: () => authorities.pruneBundle() },
    { name: 'journal_pruner', everyMs: 8 * hourMs, run: () => authorities.pruneJournals() },
    {
      // Agents are told of an end when the entry goes, so it goes within seconds; the datastore is asked only when one has come.
      name: 'entry_pruner',
      everyMs: 2000,
      run: async () => {
        if (clock.monotonic() < pruneAgainAt) return
        for (;;) {
          if ((nextExpiry() ?? Number.POSITIVE_INFINITY) >= nowSeconds()) return
          // A datastore that fails, or does not find what has ended, is not asked every second.
          pruneAgainAt = clock.monotonic() + minuteMs
          const gone = await datastore.entries.pruneExpired(nowSeconds(), pruneBatch)
          if (gone.length > 0) pruneAgainAt = 0
          for (const { id, spiffeId, parentId } of gone) {
            log.info('Pruned an expired registration', {
              registration_id: id,
              spiffe_id: spiffeId,
              parent_id: parentId,
            })
          }
          if (gone.length === 0) return
        }
      },
    },
    {
      name: 'join_token_pruner',
      everyMs: 5 * minuteMs,
      run: async () => {
        const count = await datastore.joinTokens.pruneExpired(nowSeconds())
        if (count > 0) log.info('Pruned expired join tokens', { count })
      },
    },
    {
      name: 'change_pruner',
      everyMs: hourMs,
      run: async () => {
        await datastore.changes.prune(nowSeconds() - Math.floor(config.keepChangesForMs / 1000), keptChanges)
      },
    },
  ]
  if (prune !== undefined) {
    tasks.push({
      name: 'node_pruner',
      everyMs: hourMs,
      run: async () => {
        const expiredBefore = nowSeconds() - Math.floor(prune.expiredForMs / 1000)
        const options = { expiredBefore, includeNonReattestable: prune.includeNonReattestable, limit: prune.batchSize }
        for (;;) {
          const gone = await datastore.agents.pruneExpired(options)
          if (gone.length > 0) log.info('Pruned agents whose SVIDs expired long ago', { count: gone.length })
          if (gone.length < prune.batchSize) return
        }
      },
    })
  }
  return tasks.map(task => ({
    ...task,
    run: async () => {
      try {
        await task.run()
      } catch (error) {
        log.error('Maintenance failed; it is tried again', { task: task.name, error })
      }
    },
  }))
}
