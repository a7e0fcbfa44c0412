import { Certificate, PkiError } from '@plastron/pki'
import type { Logger } from '@plastron/runtime'
import type { BundleRecord } from '../datastore/index.ts'
import type { ManagedKey } from '../plugins/key-manager/key-manager.ts'
import { type Authority, type AuthorityKind, authorityTitle, type Slot, type Slots, slotKeyId } from './authority.ts'
import { tokenAuthority, x509Authority } from './build-authority.ts'
import type { JournalRecord } from './journal.ts'
import { publishedAs } from './published.ts'

/** What is known about the authorities of before. */
export interface FormerState {
  readonly records: readonly JournalRecord[]
  readonly keys: readonly ManagedKey[]
  readonly bundle: BundleRecord | undefined
  readonly now: Date
  readonly log: Logger
}

/**
 * Finds the authorities of before: not ended, their key still in the key manager, and still in the bundle (SRV-ISS-057). What
 * cannot be taken up is reported and left out.
 */
export function loadSlots(kind: AuthorityKind, state: FormerState): Slots {
  const { bundle, now, log } = state
  const found: Slot[] = []
  for (const record of state.records) {
    if (record.notAfter * 1000 <= now.getTime()) continue
    const authority = authorityOf(kind, record, state)
    if (typeof authority === 'string') {
      // One whose slot was used again is history, and so is one that was revoked.
      log[record.status === 'old' ? 'debug' : 'warn'](
        `${authorityTitle(kind)} authority cannot be taken up again: ${authority}`,
        {
          slot: record.slot,
          local_authority_id: record.authorityId,
        },
      )
      continue
    }
    found.push({ authority, status: record.status, tainted: publishedAs(bundle, authority)?.tainted ?? false })
  }
  const current = found.findLast(({ status }) => status === 'active')
  const others = found.filter(slot => slot !== current && slot.authority.slot !== current?.authority.slot)
  // One that is prepared is of more use than one that is old: without an active one it takes over.
  const next = others.findLast(({ status }) => status === 'prepared') ?? others.at(-1)
  return { current, next: next?.status === 'active' ? { ...next, status: 'old' } : next }
}

/** The authority of a record, or why there is none. */
function authorityOf(kind: AuthorityKind, record: JournalRecord, { keys, bundle }: FormerState): Authority | string {
  const key = keys.find(({ id }) => id === slotKeyId(kind, record.slot))
  const [document, ...upstreamChain] = record.documents
  if (key === undefined || document === undefined) return 'the key manager does not have its key'
  const { signer } = key
  const common = { slot: record.slot, signer, issuedAt: new Date(record.issuedAt * 1000) }
  let authority: Authority
  let published: number
  if (kind === 'x509') {
    let certificate: Certificate
    try {
      certificate = Certificate.parse(document)
    } catch (error) {
      if (!(error instanceof PkiError)) throw error
      return `its certificate cannot be read: ${error.message}`
    }
    if (!certificate.publicKey.equals(signer.publicKey)) return 'the key manager has another key in its slot'
    authority = x509Authority({ ...common, certificate, upstreamChain })
    published = bundle?.x509Authorities.length ?? 0
  } else {
    if (Buffer.compare(signer.publicKey.spki, document) !== 0) return 'the key manager has another key in its slot'
    authority = tokenAuthority({
      ...common,
      kind,
      id: record.authorityId,
      notAfter: new Date(record.notAfter * 1000),
    })
    published = (kind === 'jwt' ? bundle?.jwtAuthorities : bundle?.witAuthorities)?.length ?? 0
  }
  // A bundle that lost its rows gets them back; one that has others lacks ours because it was revoked.
  if (published > 0 && publishedAs(bundle, authority) === undefined) return 'it is no longer in the bundle'
  return authority
}
