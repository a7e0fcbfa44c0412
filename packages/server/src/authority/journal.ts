import { isJsonObject, type JsonValue, parseJsonObjectStrict } from '@plastron/pki'
import { type Authority, type AuthorityKind, type AuthorityStatus, authorityKinds, type SlotId } from './authority.ts'

/** What the journal remembers of one authority. The key itself stays in the key manager. */
export interface JournalRecord {
  readonly authorityId: string
  readonly slot: SlotId
  readonly status: AuthorityStatus
  /** Seconds since 1970. */
  readonly issuedAt: number
  readonly notAfter: number
  /** X.509: the DER of the certificate and of the chain above it. Others: the SPKI of the public key alone. */
  readonly documents: readonly Uint8Array[]
}

/** A server's own record of its authorities, newest last; at most 10 of each kind (SRV-ISS-073). */
export type Journal = Readonly<Record<AuthorityKind, readonly JournalRecord[]>>

const maxRecords = 10
const formatVersion = 1

export const emptyJournal: Journal = { x509: [], jwt: [], wit: [] }

/** The journal with a record added, or replaced where one of that authority is there. */
export function withRecord(journal: Journal, kind: AuthorityKind, record: JournalRecord): Journal {
  const others = journal[kind].filter(({ authorityId }) => authorityId !== record.authorityId)
  return { ...journal, [kind]: [...others, record].slice(-maxRecords) }
}

/** What the journal says of an authority in a state. */
export function recordOf(authority: Authority, status: AuthorityStatus): JournalRecord {
  return {
    authorityId: authority.id,
    slot: authority.slot,
    status,
    issuedAt: Math.floor(authority.issuedAt.getTime() / 1000),
    notAfter: Math.floor(authority.notAfter.getTime() / 1000),
    documents:
      authority.kind === 'x509'
        ? [authority.certificate.der, ...authority.upstreamChain]
        : [authority.signer.publicKey.spki],
  }
}

/** When the last authority of a journal ends: seconds since 1970, 0 for an empty one. */
export function endOfJournal(journal: Journal): number {
  return Math.max(0, ...authorityKinds.flatMap(kind => journal[kind].map(({ notAfter }) => notAfter)))
}

export function encodeJournal(journal: Journal): Uint8Array {
  const records = (kind: AuthorityKind) =>
    journal[kind].map(record => ({
      ...record,
      documents: record.documents.map(der => Buffer.from(der).toString('base64')),
    }))
  const content = { version: formatVersion, x509: records('x509'), jwt: records('jwt'), wit: records('wit') }
  return Buffer.from(JSON.stringify(content))
}

/** @throws Error saying what is wrong. */
export function decodeJournal(data: Uint8Array): Journal {
  const content = parseJsonObjectStrict(Buffer.from(data).toString('utf8'))
  if (content.version !== formatVersion)
    throw new Error(`its version is ${JSON.stringify(content.version)}, this program knows ${formatVersion}`)
  const journal = { ...emptyJournal } as Record<AuthorityKind, readonly JournalRecord[]>
  for (const kind of authorityKinds) {
    const list = content[kind]
    if (!Array.isArray(list)) throw new Error(`it has no list of ${kind} authorities`)
    journal[kind] = list.map(readRecord)
  }
  return journal
}

function readRecord(value: JsonValue): JournalRecord {
  if (!isJsonObject(value)) throw new Error('a record is no object')
  const { authorityId, slot, status, issuedAt, notAfter, documents } = value
  if (typeof authorityId !== 'string' || typeof issuedAt !== 'number' || typeof notAfter !== 'number')
    throw new Error('a record lacks a member')
  if (slot !== 'A' && slot !== 'B') throw new Error('a record has an unknown slot')
  if (status !== 'prepared' && status !== 'active' && status !== 'old')
    throw new Error('a record has an unknown status')
  if (!Array.isArray(documents)) throw new Error('a record has no documents')
  return {
    authorityId,
    slot,
    status,
    issuedAt,
    notAfter,
    documents: documents.map(text => Uint8Array.from(Buffer.from(String(text), 'base64'))),
  }
}
