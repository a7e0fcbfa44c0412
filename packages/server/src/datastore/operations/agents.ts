import type { Selectable } from 'kysely'
import type { AttestedAgent, Page } from '../datastore.ts'
import { DatastoreError } from '../errors.ts'
import type { AgentRecord } from '../records.ts'
import type { AgentsTable } from '../schema.ts'
import { deleteEntry } from './entries.ts'
import { agentFromRow, readable } from './rows.ts'
import { prepared, type Transaction } from './transaction.ts'

type Row = Selectable<AgentsTable>

const selectById = prepared<Row, 'id'>((db, parameter) =>
  db.selectFrom('agents').selectAll().where('id', '=', parameter('id')),
)

async function findAgent(tx: Transaction, id: string): Promise<AgentRecord | undefined> {
  const [row] = await selectById(tx, { id })
  return row === undefined ? undefined : agentFromRow(row)
}

async function requireAgent(tx: Transaction, id: string): Promise<AgentRecord> {
  const agent = await findAgent(tx, id)
  if (agent === undefined) throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', 'agent not found')
  return agent
}

async function requireUnbanned(tx: Transaction, id: string): Promise<AgentRecord> {
  const agent = await requireAgent(tx, id)
  if (agent.serial === '') throw new DatastoreError('ERR_DATASTORE_AGENT_BANNED', `the agent ${id} is banned`)
  return agent
}

/** Writes what may change of an agent. */
async function storeAgent(tx: Transaction, agent: AgentRecord): Promise<void> {
  await tx.db
    .updateTable('agents')
    .set({
      serial: agent.serial,
      expires_at: agent.expiresAt,
      new_serial: agent.newSerial,
      new_expires_at: agent.newExpiresAt,
      can_reattest: agent.canReattest ? 1 : 0,
      version: agent.version,
      selectors: JSON.stringify(agent.selectors),
      token_pending: agent.tokenPending ? 1 : 0,
    })
    .where('row', '=', agent.row)
    .execute()
}

/**
 * Removes the entries that were made as an alias for the agent of a join token: its parent and its only selector both
 * name the agent.
 */
export async function deleteTokenAliases(tx: Transaction, agentId: string): Promise<void> {
  const aliases = await tx.db
    .selectFrom('token_aliases')
    .innerJoin('entries', 'entries.row', 'token_aliases.entry_row')
    .select(['entries.row', 'entries.id'])
    .where('token_aliases.parent_id', '=', agentId)
    .execute()
  for (const alias of aliases) await deleteEntry(tx, alias)
}

async function deleteAgent(tx: Transaction, agent: AgentRecord): Promise<void> {
  await tx.db.deleteFrom('agents').where('row', '=', agent.row).execute()
  // An evicted agent must attest anew: its token, if it may still be replayed, goes with it.
  await tx.db.deleteFrom('join_tokens').where('agent_id', '=', agent.id).execute()
  if (agent.attestationType === 'join_token') await deleteTokenAliases(tx, agent.id)
  tx.changed({ aggregate: 'agent', id: agent.id, value: undefined })
}

async function checkToken(tx: Transaction, token: string, agentId: string): Promise<void> {
  const claim = await tx.db.selectFrom('join_tokens').select('agent_id').where('value', '=', token).executeTakeFirst()
  if (claim?.agent_id !== agentId) {
    throw new DatastoreError('ERR_DATASTORE_TOKEN_SPENT', 'join token does not exist or has already been used')
  }
}

/** Ends the replay of a join token whose row is about to go. */
export async function endTokenReplay(tx: Transaction, agentId: string): Promise<boolean> {
  const agent = await findAgent(tx, agentId)
  if (agent === undefined) return false
  if (agent.tokenPending) {
    const settled = { ...agent, tokenPending: false }
    await storeAgent(tx, settled)
    tx.touched({ aggregate: 'agent', id: agentId, value: settled })
  }
  return true
}

/** Reads and writes of attested agents; what each promises is said by the interfaces of `datastore.ts` and `changes.ts`. */
export const agentOperations = {
  async 'agents.get'(tx: Transaction, id: string): Promise<AgentRecord | undefined> {
    return findAgent(tx, id)
  },
  async 'agents.page'(tx: Transaction, afterRow: number, limit: number): Promise<Page<AgentRecord>> {
    const rows = await tx.db
      .selectFrom('agents')
      .selectAll()
      .where('row', '>', afterRow)
      .orderBy('row')
      .limit(limit)
      .execute()
    return { items: readable(tx, 'agents', rows, row => row.id, agentFromRow), lastRow: rows.at(-1)?.row }
  },
  async 'agents.attest'(tx: Transaction, attested: AttestedAgent): Promise<AgentRecord> {
    const { id, joinToken } = attested
    const known = await findAgent(tx, id)
    if (known?.serial === '') throw new DatastoreError('ERR_DATASTORE_AGENT_BANNED', `the agent ${id} is banned`)
    if (joinToken !== undefined) await checkToken(tx, joinToken, id)
    const state = {
      serial: attested.serial,
      expiresAt: attested.expiresAt,
      newSerial: '',
      newExpiresAt: 0,
      canReattest: attested.canReattest,
      selectors: [...new Set(attested.selectors)],
      tokenPending: joinToken !== undefined,
    }
    let agent: AgentRecord
    if (known === undefined) {
      const inserted = await tx.db
        .insertInto('agents')
        .values({
          id,
          attestation_type: attested.attestationType,
          serial: state.serial,
          expires_at: state.expiresAt,
          new_serial: '',
          new_expires_at: 0,
          can_reattest: state.canReattest ? 1 : 0,
          version: '',
          selectors: JSON.stringify(state.selectors),
          token_pending: state.tokenPending ? 1 : 0,
        })
        .returning('row')
        .executeTakeFirstOrThrow()
      agent = { row: inserted.row, id, attestationType: attested.attestationType, version: '', ...state }
    } else {
      agent = { ...known, ...state }
      await storeAgent(tx, agent)
    }
    tx.changed({ aggregate: 'agent', id, value: agent })
    return agent
  },
  async 'agents.renew'(
    tx: Transaction,
    id: string,
    serial: string,
    newSerial: string,
    newExpiresAt: number,
  ): Promise<AgentRecord> {
    const known = await requireUnbanned(tx, id)
    if (known.serial !== serial)
      throw new DatastoreError('ERR_DATASTORE_CONFLICT', `the agent ${id} has another certificate now`)
    const agent = { ...known, newSerial, newExpiresAt }
    await storeAgent(tx, agent)
    tx.touched({ aggregate: 'agent', id, value: agent })
    return agent
  },
  async 'agents.confirm'(tx: Transaction, id: string, serial: string): Promise<AgentRecord | undefined> {
    const known = await findAgent(tx, id)
    if (known === undefined || serial === '') return known
    let agent = known
    if (serial === known.newSerial) {
      agent = { ...agent, serial, expiresAt: known.newExpiresAt, newSerial: '', newExpiresAt: 0 }
    } else if (serial !== known.serial) {
      return known
    }
    if (agent.tokenPending) {
      await tx.db.deleteFrom('join_tokens').where('agent_id', '=', id).execute()
      agent = { ...agent, tokenPending: false }
    }
    if (agent === known) return known
    await storeAgent(tx, agent)
    tx.touched({ aggregate: 'agent', id, value: agent })
    return agent
  },
  async 'agents.setVersion'(tx: Transaction, id: string, version: string): Promise<AgentRecord> {
    const known = await requireUnbanned(tx, id)
    if (known.version === version) return known
    const agent = { ...known, version }
    await storeAgent(tx, agent)
    tx.touched({ aggregate: 'agent', id, value: agent })
    return agent
  },
  async 'agents.ban'(tx: Transaction, id: string): Promise<AgentRecord> {
    const agent = { ...(await requireAgent(tx, id)), serial: '', newSerial: '', newExpiresAt: 0 }
    await storeAgent(tx, agent)
    tx.changed({ aggregate: 'agent', id, value: agent })
    return agent
  },
  async 'agents.delete'(tx: Transaction, id: string): Promise<AgentRecord> {
    const agent = await requireAgent(tx, id)
    await deleteAgent(tx, agent)
    return agent
  },
  async 'agents.pruneExpired'(
    tx: Transaction,
    options: { readonly expiredBefore: number; readonly includeNonReattestable: boolean; readonly limit: number },
  ): Promise<AgentRecord[]> {
    let query = tx.db
      .selectFrom('agents')
      .selectAll()
      .where('serial', '<>', '')
      .where('expires_at', '<', options.expiredBefore)
    if (!options.includeNonReattestable) query = query.where('can_reattest', '=', 1)
    const rows = await query.orderBy('row').limit(options.limit).execute()
    const expired = readable(tx, 'agents', rows, row => row.id, agentFromRow)
    for (const agent of expired) await deleteAgent(tx, agent)
    return expired
  },
}
