import type { Change, ChangesAfter, Position } from '../changes.ts'
import { agentOperations } from './agents.ts'
import { bundleOperations } from './bundles.ts'
import { entryOperations } from './entries.ts'
import { federationOperations } from './federation.ts'
import { type Numberless, prepared, type Transaction } from './transaction.ts'

const advance = prepared<{ number: number }, 'by'>((db, parameter) =>
  db
    .updateTable('state')
    .set(row => ({ number: row('number', '+', parameter('by')) }))
    .where('id', '=', 1)
    .returning('number'),
)
const insertChange = prepared<never, 'number' | 'aggregate' | 'id' | 'made_at'>((db, parameter) =>
  db.insertInto('changes').values({
    number: parameter('number'),
    aggregate: parameter('aggregate'),
    id: parameter('id'),
    made_at: parameter('made_at'),
  }),
)

/** The position of the last change that this transaction can see. */
async function readPosition(tx: Transaction): Promise<Position> {
  const state = await tx.db.selectFrom('state').select(['history', 'number']).executeTakeFirstOrThrow()
  return { history: state.history, number: state.number }
}

/**
 * Gives numbers to the changes of one operation: the counter row moves as the last statement before the change rows,
 * inside the transaction that made them, so that numbers have no gaps and follow the order of commits on any engine
 * that locks the row.
 */
export async function numberChanges(tx: Transaction, changes: readonly Numberless[]): Promise<Change[]> {
  const [state] = await advance(tx, { by: changes.length })
  let number = state!.number - changes.length
  const numbered: Change[] = []
  for (const change of changes) {
    number += 1
    await insertChange(tx, { number, aggregate: change.aggregate, id: change.id, made_at: tx.nowSeconds })
    numbered.push({ ...change, number } as Change)
  }
  return numbered
}

async function currentValue(tx: Transaction, aggregate: string, id: string): Promise<Change['value']> {
  switch (aggregate) {
    case 'entry':
      return entryOperations['entries.get'](tx, id)
    case 'agent':
      return agentOperations['agents.get'](tx, id)
    case 'bundle':
      return bundleOperations['bundles.get'](tx, id)
    default:
      return federationOperations['federation.get'](tx, id)
  }
}

/** Reads and writes of the change log; what each promises is said by the interfaces of `datastore.ts` and `changes.ts`. */
export const changeLogOperations = {
  async 'changes.head'(tx: Transaction): Promise<Position> {
    return readPosition(tx)
  },
  async 'changes.after'(tx: Transaction, position: Position, limit: number): Promise<ChangesAfter> {
    const head = await readPosition(tx)
    if (position.history !== head.history) return { kind: 'other-history', position: head }
    if (position.number > head.number) return { kind: 'ahead', position: head }
    if (position.number === head.number) {
      return { kind: 'changes', commit: { position: head, changes: [] }, more: false }
    }
    const rows = await tx.db
      .selectFrom('changes')
      .selectAll()
      .where('number', '>', position.number)
      .orderBy('number')
      .limit(limit)
      .execute()
    if (rows[0]?.number !== position.number + 1) return { kind: 'too-old', position: head }
    const values = new Map<string, Change['value']>()
    const changes: Change[] = []
    for (const { number, aggregate, id } of rows) {
      const key = `${aggregate} ${id}`
      if (!values.has(key)) values.set(key, await currentValue(tx, aggregate, id))
      changes.push({ number, aggregate, id, value: values.get(key) } as Change)
    }
    const last = rows.at(-1)!.number
    return {
      kind: 'changes',
      commit: { position: { history: head.history, number: last }, changes },
      more: last < head.number,
    }
  },
  async 'changes.prune'(tx: Transaction, olderThanSeconds: number, keep: number): Promise<number> {
    const { number } = await readPosition(tx)
    const gone = await tx.db
      .deleteFrom('changes')
      .where('number', '<=', number - keep)
      .where('made_at', '<', olderThanSeconds)
      .executeTakeFirst()
    return Number(gone.numDeletedRows)
  },
}
