import { timingSafeEqual } from 'node:crypto'
import type { Selectable } from 'kysely'
import { DatastoreError } from '../errors.ts'
import type { JoinTokenRecord, NewEntry } from '../records.ts'
import type { JoinTokensTable } from '../schema.ts'
import { deleteTokenAliases, endTokenReplay } from './agents.ts'
import { createEntry } from './entries.ts'
import type { Transaction } from './transaction.ts'

async function removeToken(tx: Transaction, token: Selectable<JoinTokensTable>): Promise<void> {
  await tx.db.deleteFrom('join_tokens').where('value', '=', token.value).execute()
  const agentId = token.agent_id ?? token.alias_parent
  if (agentId === null) return
  const attested = await endTokenReplay(tx, agentId)
  // Nobody came, or came and went: an alias whose parent is gone would wait for a namesake.
  if (!attested && token.alias_parent !== null) await deleteTokenAliases(tx, token.alias_parent)
}

/** What an operation refuses after it wrote something that must stay: the expired token it removed. */
export interface Refusal {
  readonly refused: DatastoreError
}

/** Reads and writes of join tokens; what each promises is said by the interfaces of `datastore.ts` and `changes.ts`. */
export const joinTokenOperations = {
  async 'joinTokens.create'(tx: Transaction, token: JoinTokenRecord, alias?: NewEntry): Promise<void> {
    const known = await tx.db
      .selectFrom('join_tokens')
      .select('value')
      .where('value', '=', token.value)
      .executeTakeFirst()
    if (known !== undefined) throw new DatastoreError('ERR_DATASTORE_ALREADY_EXISTS', 'join token already exists')
    await tx.db
      .insertInto('join_tokens')
      .values({
        value: token.value,
        expires_at: token.expiresAt,
        key_digest: null,
        agent_id: null,
        alias_parent: alias?.parentId ?? null,
      })
      .execute()
    if (alias !== undefined) await createEntry(tx, alias)
  },
  async 'joinTokens.claim'(
    tx: Transaction,
    value: string,
    keyDigest: Uint8Array,
    agentId: string,
  ): Promise<JoinTokenRecord | Refusal> {
    const token = await tx.db.selectFrom('join_tokens').selectAll().where('value', '=', value).executeTakeFirst()
    // The comparison of the engine may fold or trim text; only the very same characters name the token.
    if (token === undefined || token.value !== value) {
      throw new DatastoreError('ERR_DATASTORE_NOT_FOUND', 'join token does not exist or has already been used')
    }
    if (token.expires_at < tx.nowSeconds) {
      await removeToken(tx, token)
      return { refused: new DatastoreError('ERR_DATASTORE_TOKEN_EXPIRED', 'join token expired') }
    }
    if (token.key_digest === null) {
      await tx.db
        .updateTable('join_tokens')
        .set({ key_digest: keyDigest, agent_id: agentId })
        .where('value', '=', token.value)
        .execute()
    } else if (token.key_digest.length !== keyDigest.length || !timingSafeEqual(token.key_digest, keyDigest)) {
      throw new DatastoreError('ERR_DATASTORE_TOKEN_SPENT', 'join token does not exist or has already been used')
    }
    return { value: token.value, expiresAt: token.expires_at }
  },
  async 'joinTokens.pruneExpired'(tx: Transaction, nowSeconds: number): Promise<number> {
    const tokens = await tx.db.selectFrom('join_tokens').selectAll().where('expires_at', '<', nowSeconds).execute()
    for (const token of tokens) await removeToken(tx, token)
    return tokens.length
  },
}
