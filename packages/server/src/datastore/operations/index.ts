import { agentOperations } from './agents.ts'
import { bundleOperations } from './bundles.ts'
import { caJournalOperations } from './ca-journals.ts'
import { changeLogOperations } from './change-log.ts'
import { entryOperations } from './entries.ts'
import { federationOperations } from './federation.ts'
import { joinTokenOperations } from './join-tokens.ts'
import type { Transaction } from './transaction.ts'

/** Every read and write, each inside one transaction, written once for all engines. */
export const operations = {
  ...entryOperations,
  ...agentOperations,
  ...joinTokenOperations,
  ...bundleOperations,
  ...federationOperations,
  ...caJournalOperations,
  ...changeLogOperations,
  async ping(_tx: Transaction): Promise<void> {},
}

type Operations = typeof operations
export type OperationName = keyof Operations
type WithoutTransaction<F> = F extends (tx: Transaction, ...args: infer Args) => unknown ? Args : never
export type OperationArguments<Name extends OperationName> = WithoutTransaction<Operations[Name]>
export type OperationResult<Name extends OperationName> = Awaited<ReturnType<Operations[Name]>>

const READS: ReadonlySet<OperationName> = new Set<OperationName>([
  'ping',
  'entries.get',
  'entries.page',
  'agents.get',
  'agents.page',
  'bundles.get',
  'bundles.list',
  'federation.get',
  'federation.list',
  'caJournals.list',
  'caJournals.get',
  'changes.head',
  'changes.after',
])

/** Whether an operation never writes. */
export function isRead(name: OperationName): boolean {
  return READS.has(name)
}
